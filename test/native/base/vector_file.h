// Reads test/vectors/*.json, the files that C++ and TypeScript share. Just enough JSON for them: objects,
// arrays, plain strings without escapes and whole numbers below 2^53; anything else ends the test.
#ifndef GRANARY_TEST_BASE_VECTOR_FILE_H_
#define GRANARY_TEST_BASE_VECTOR_FILE_H_

#include <cctype>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"

namespace granary {

struct JsonValue {
  uint64_t number = 0;
  std::string text;
  std::vector<JsonValue> items;
  std::map<std::string, JsonValue> fields;

  const JsonValue& operator[](const std::string& name) const {
    CHECK(fields.contains(name));
    return fields.at(name);
  }
  Buffer FromHexText() const {
    Buffer bytes(text.size() / 2);
    CHECK(FromHex(text, bytes));
    return bytes;
  }
};

class JsonParser {
 public:
  explicit JsonParser(const std::string& text) : text_(text) {}

  JsonValue ParseAll() {
    JsonValue value = ParseValue();
    CHECK(Peek() == '\0');
    return value;
  }

 private:
  char Peek() {
    while (position_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[position_])))
      ++position_;
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  void Expect(char wanted) {
    CHECK(Peek() == wanted);
    ++position_;
  }
  // True when `separator` follows and another element with it; false when `close` ended the list.
  bool Continues(char close) {
    if (Peek() == ',') return ++position_, true;
    Expect(close);
    return false;
  }

  JsonValue ParseValue() {
    JsonValue value;
    const char first = Peek();
    if (first == '{') {
      ParseObject(&value);
    } else if (first == '[') {
      ParseArray(&value);
    } else if (first == '"') {
      value.text = ParseText();
    } else {
      CHECK(std::isdigit(static_cast<unsigned char>(first)));
      while (std::isdigit(static_cast<unsigned char>(text_[position_]))) {
        value.number = value.number * 10 + static_cast<uint64_t>(text_[position_++] - '0');
      }
    }
    return value;
  }
  void ParseObject(JsonValue* value) {
    Expect('{');
    if (Peek() == '}') return void(++position_);
    do {
      CHECK(Peek() == '"');
      const std::string name = ParseText();
      Expect(':');
      value->fields[name] = ParseValue();
    } while (Continues('}'));
  }
  void ParseArray(JsonValue* value) {
    Expect('[');
    if (Peek() == ']') return void(++position_);
    do {
      value->items.push_back(ParseValue());
    } while (Continues(']'));
  }
  std::string ParseText() {
    Expect('"');
    const size_t end = text_.find('"', position_);
    CHECK(end != std::string::npos);
    const std::string text = text_.substr(position_, end - position_);
    CHECK(text.find('\\') == std::string::npos);
    position_ = end + 1;
    return text;
  }

  const std::string& text_;
  size_t position_ = 0;
};

inline JsonValue ReadVectors(const std::string& name) {
  std::ifstream file(std::string(GRANARY_VECTORS) + "/" + name);
  CHECK(file.good());
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return JsonParser(text).ParseAll();
}

}  // namespace granary

#endif  // GRANARY_TEST_BASE_VECTOR_FILE_H_
