#include "engine/fingerprint_filter.h"

#include <bit>

#include "base/bytes.h"

namespace granary {
namespace {

constexpr int kBitCount = 5;  // of a fingerprint

// The finalizer of MurmurHash3: every bit of the salt changes every bit of the result.
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdull;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53ull;
  return value ^ (value >> 33);
}

}  // namespace

FingerprintFilter::FingerprintFilter(uint64_t word_count, const Salt& salt)
    : word_count_(word_count), salt_(salt), words_(new std::atomic<uint64_t>[word_count]()) {
  CHECK(word_count > 0);
}

std::atomic<uint64_t>& FingerprintFilter::WordOf(const Fingerprint& fingerprint) const {
  const uint64_t hash = Mix(LoadLittle<uint64_t>(fingerprint.bytes.data()) ^ salt_[0]);
  return words_[static_cast<uint64_t>(static_cast<unsigned __int128>(hash) * word_count_ >> 64)];
}

uint64_t FingerprintFilter::BitsOf(const Fingerprint& fingerprint) const {
  uint64_t hash = Mix(LoadLittle<uint64_t>(fingerprint.bytes.data() + 8) ^ salt_[1]);
  uint64_t bits = 0;
  for (int bit = 0; bit < kBitCount; ++bit, hash >>= 6) bits |= 1ull << (hash & 63);
  return bits;
}

void FingerprintFilter::Add(const Fingerprint& fingerprint) {
  const uint64_t bits = BitsOf(fingerprint);
  std::atomic<uint64_t>& word = WordOf(fingerprint);
  // Mostly they are set already, and a look leaves the cache line with the other threads.
  if ((word.load(std::memory_order_relaxed) & bits) != bits) word.fetch_or(bits, std::memory_order_relaxed);
}

bool FingerprintFilter::Contains(const Fingerprint& fingerprint) const {
  const uint64_t bits = BitsOf(fingerprint);
  return (WordOf(fingerprint).load(std::memory_order_relaxed) & bits) == bits;
}

void FingerprintFilter::Prefetch(const Fingerprint& fingerprint) const {
  __builtin_prefetch(&WordOf(fingerprint), 1);
}

void FingerprintFilter::Merge(FingerprintFilter* other) {
  CHECK(salt_ == other->salt_ && std::has_single_bit(word_count_) && std::has_single_bit(other->word_count_));
  if (other->word_count_ > word_count_) {
    std::swap(word_count_, other->word_count_);
    words_.swap(other->words_);
  }
  // A word's number is the top bits of its hash: the words that share their first bits belong to one word of
  // the smaller filter.
  const uint64_t ratio = word_count_ / other->word_count_;
  for (uint64_t index = 0; index < word_count_; ++index) {
    words_[index].fetch_or(other->words_[index / ratio].load(std::memory_order_relaxed),
                           std::memory_order_relaxed);
  }
}

}  // namespace granary
