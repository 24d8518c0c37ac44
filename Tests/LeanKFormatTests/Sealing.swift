import ByteIO
import Zlib
import Zstd

@testable import LeanKFormat

/// `file` with every digest, checksum and the content id computed anew, as far as its table can be
/// followed.
func sealed(_ file: [UInt8]) -> [UInt8] {
  var file = file
  func store(_ value: UInt32, at offset: Int) {
    for byte in 0..<4 { file[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }
  let count = Int(file.span.littleEndian(at: 24) as UInt32)
  let end = FormatHeader.size + SectionTable.size(of: count)
  if count <= 64, end <= file.count {
    var entries: [SectionEntry] = []
    for index in 0..<count {
      let start = FormatHeader.size + index * SectionEntry.size
      let offset: UInt64 = file.span.littleEndian(at: start + 8)
      let stored: UInt64 = file.span.littleEndian(at: start + 16)
      let raw: UInt64 = file.span.littleEndian(at: start + 24)
      if offset <= file.count, stored <= UInt64(file.count) - offset, raw <= 1 << 20 {
        let range = Int(offset)..<Int(offset + stored)
        store(CRC32.of(file.span.extracting(range)), at: start + 32)
        let bytes = Array(file[range])
        let content =
          file[start + 5] == 1 ? (try? Zstd.decompress(bytes.span, count: Int(raw))) ?? [] : bytes
        file.replaceSubrange(start + 40..<start + 72, with: contentDigest(content))
      }
      entries.append(
        SectionEntry(
          tag: SectionTag(code: file.span.littleEndian(at: start)),
          flags: SectionFlags(rawValue: file[start + 4]), codec: .raw,
          instance: Int(file.span.littleEndian(at: start + 6) as UInt16), offset: 0,
          storedLength: 0, rawLength: Int(clamping: raw), checksum: 0,
          digest: Array(file[start + 40..<start + 72])))
    }
    store(CRC32.of(file.span.extracting(FormatHeader.size..<end - 8)), at: end - 8)
    file.replaceSubrange(28..<60, with: ContentID(of: entries).bytes)
  }
  store(CRC32.of(file.span.extracting(0..<60)), at: 60)
  return file
}
