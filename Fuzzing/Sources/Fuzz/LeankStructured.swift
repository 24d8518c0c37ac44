import Crypto
import Foundation
import LeanKFormat
import Zstd

/// The input is a file whose lengths, digests, checksums and content id are made right before it is
/// read, so that what lies behind them is reached.
func leankStructured(_ bytes: [UInt8]) {
  guard let read = try? LeankFile(refreshed(bytes)) else { return }
  checkRewrite(of: read)
}

/// `bytes` with every digest and checksum that the section table lets us find.
private func refreshed(_ bytes: [UInt8]) -> [UInt8] {
  var file = bytes
  guard file.count >= 64 else { return file }
  put(file.count, 8, at: 16, in: &file)
  let count = number(at: 24, 4, in: file)
  let table = 64..<64 + 72 * min(count, 64)
  guard count <= 64, file.count >= table.upperBound + 8 else { return file }
  var hash = SHA256()
  for entry in stride(from: table.lowerBound, to: table.upperBound, by: 72) {
    let offset = number(at: entry + 8, 8, in: file)
    let length = number(at: entry + 16, 8, in: file)
    if offset <= file.count, length <= file.count - offset {
      let stored = file[offset..<offset + length]
      put(Int(crc32(stored)), 4, at: entry + 32, in: &file)
      let raw = content(Array(stored), codec: file[entry + 5], entry: entry, in: file)
      file.replaceSubrange(entry + 40..<entry + 72, with: Array(SHA256.hash(data: raw)))
    }
    hash.update(data: file[entry..<entry + 5] + [0] + file[entry + 6..<entry + 8])
    hash.update(data: file[entry + 24..<entry + 32] + file[entry + 40..<entry + 72])
  }
  put(Int(crc32(file[table])), 4, at: table.upperBound, in: &file)
  file.replaceSubrange(28..<60, with: Array(hash.finalize()))
  put(Int(crc32(file[..<60])), 4, at: 60, in: &file)
  return file
}

/// A section's uncompressed bytes, or what is stored where there are none.
private func content(_ stored: [UInt8], codec: UInt8, entry: Int, in file: [UInt8]) -> [UInt8] {
  let length = number(at: entry + 24, 8, in: file)
  guard codec != 0, length <= 1 << 20 else { return stored }
  return (try? Zstd.decompress(stored.span, count: length)) ?? stored
}

/// The little-endian number at `offset`, cut to what an `Int` holds.
private func number(at offset: Int, _ width: Int, in file: [UInt8]) -> Int {
  var value: UInt64 = 0
  for byte in (0..<width).reversed() { value = value << 8 | UInt64(file[offset + byte]) }
  return Int(truncatingIfNeeded: value & UInt64(Int.max))
}

private func put(_ value: Int, _ width: Int, at offset: Int, in file: inout [UInt8]) {
  for byte in 0..<width { file[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
}
