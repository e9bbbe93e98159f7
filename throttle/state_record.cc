#include "throttle/state_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace postrider {
namespace {

enum class Type : std::uint8_t { kNumber = 1, kReal = 2, kText = 3, kMoment = 4 };

constexpr std::size_t kSumBytes = 4;

void AppendBytes(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

std::uint64_t ReadBytes(std::string_view in, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::uint64_t{static_cast<unsigned char>(in[i])} << (8 * i);
  return value;
}

// FNV-1a: the disk has its own sums; this one tells a record from anything else.
std::uint32_t Sum(std::string_view bytes) {
  std::uint32_t sum = 2166136261u;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619u;
  return sum;
}

void AppendField(std::string& out, std::uint8_t field, Type type, std::string_view value) {
  out.push_back(static_cast<char>(field));
  out.push_back(static_cast<char>(type));
  AppendBytes(out, value.size(), 4);
  out += value;
}

void AppendFixed(std::string& out, std::uint8_t field, Type type, std::uint64_t value) {
  std::string bytes;
  AppendBytes(bytes, value, 8);
  AppendField(out, field, type, bytes);
}

}  // namespace

void StateWriter::Number(std::uint8_t field, std::uint64_t value) { AppendFixed(bytes_, field, Type::kNumber, value); }

void StateWriter::Real(std::uint8_t field, double value) {
  AppendFixed(bytes_, field, Type::kReal, std::bit_cast<std::uint64_t>(value));
}

void StateWriter::Text(std::uint8_t field, std::string_view value) { AppendField(bytes_, field, Type::kText, value); }

void StateWriter::Moment(std::uint8_t field, Wall value) {
  AppendFixed(bytes_, field, Type::kMoment, static_cast<std::uint64_t>(value.time_since_epoch().count()));
}

void StateWriter::Moment(std::uint8_t field, Monotonic value, const Now& now) {
  Moment(field, now.wall + std::chrono::ceil<std::chrono::milliseconds>(value - now.monotonic));
}

std::string StateWriter::Finish(char kind, std::uint8_t version) const {
  std::string record;
  record.reserve(2 + bytes_.size() + kSumBytes);
  record.push_back(kind);
  record.push_back(static_cast<char>(version));
  record += bytes_;
  AppendBytes(record, Sum(record), kSumBytes);
  return record;
}

Result<StateReader> StateReader::Open(std::string_view record, char kind, std::uint8_t version) {
  if (record.size() < 2 + kSumBytes) {
    return Fail(ErrorCode::kCorrupt, fmt::format("a saved state of {} bytes is too short to be one", record.size()));
  }
  const std::string_view body = record.substr(0, record.size() - kSumBytes);
  if (ReadBytes(record.substr(body.size()), kSumBytes) != Sum(body)) {
    return Fail(ErrorCode::kCorrupt, "the saved state is damaged: its checksum does not fit");
  }
  if (body[0] != kind) return Fail(ErrorCode::kCorrupt, "the saved state is of another kind");
  const auto found = static_cast<std::uint8_t>(body[1]);
  if (found > version || found == 0) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the saved state has version {}, this program knows up to {}", found, version));
  }
  return StateReader(body.substr(2));
}

bool StateReader::Next() {
  if (fields_.empty()) return false;
  constexpr std::size_t kHeader = 6;
  if (fields_.size() < kHeader) return sound_ = false;
  const std::uint64_t length = ReadBytes(fields_.substr(2), 4);
  if (length > fields_.size() - kHeader) return sound_ = false;
  field_ = static_cast<std::uint8_t>(fields_[0]);
  type_ = static_cast<std::uint8_t>(fields_[1]);
  value_ = fields_.substr(kHeader, static_cast<std::size_t>(length));
  fields_.remove_prefix(kHeader + static_cast<std::size_t>(length));
  return true;
}

std::optional<std::uint64_t> StateReader::Number() const {
  if (type_ != static_cast<std::uint8_t>(Type::kNumber) || value_.size() != 8) return std::nullopt;
  return ReadBytes(value_, 8);
}

std::optional<double> StateReader::Real() const {
  if (type_ != static_cast<std::uint8_t>(Type::kReal) || value_.size() != 8) return std::nullopt;
  const auto value = std::bit_cast<double>(ReadBytes(value_, 8));
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::string_view> StateReader::Text() const {
  if (type_ != static_cast<std::uint8_t>(Type::kText)) return std::nullopt;
  return value_;
}

std::optional<Wall> StateReader::Moment() const {
  if (type_ != static_cast<std::uint8_t>(Type::kMoment) || value_.size() != 8) return std::nullopt;
  const auto count = static_cast<std::int64_t>(ReadBytes(value_, 8));
  // A thousand years either way: what is beyond could not be computed with.
  constexpr std::int64_t kMost = std::int64_t{1000} * 366 * 86'400'000;
  if (count > kMost || count < -kMost) return std::nullopt;
  return Wall(std::chrono::milliseconds(count));
}

std::optional<Monotonic> StateReader::Moment(const Now& now) const {
  const std::optional<Wall> moment = Moment();
  if (!moment) return std::nullopt;
  const std::chrono::milliseconds ahead = *moment - now.wall;
  return now.monotonic + std::clamp<std::chrono::milliseconds>(ahead, -kFarthest, kFarthest);
}

}  // namespace postrider
