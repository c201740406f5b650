{
  "targets": [{
    "target_name": "granary",
    "type": "none",
    "actions": [{
      "action_name": "cmake",
      "inputs": ["CMakeLists.txt"],
      "outputs": ["<(module_root_dir)/build-native/Release/granary.node"],
      "action": ["node", "node_modules/cmake-js/bin/cmake-js", "compile", "--out", "build-native"]
    }],
    "copies": [{
      "destination": "<(PRODUCT_DIR)",
      "files": ["<(module_root_dir)/build-native/Release/granary.node"]
    }]
  }]
}
