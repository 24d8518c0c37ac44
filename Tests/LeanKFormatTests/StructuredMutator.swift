import ByteIO
import TestSupport
import Zlib
import Zstd

@testable import LeanKFormat

/// Makes files that are wrong in a place that was chosen by what stands there: a sound file is taken
/// apart, one to three things of it are changed, and it is put together again with good checksums,
/// most of the time.
struct StructuredMutator {
  private struct Section {
    var tag: [UInt8]
    var flags: UInt8
    var codec: UInt8
    var instance: UInt16
    var content: [UInt8]
    var stored: [UInt8]
    /// Added to what is right.
    var offset: UInt64 = 0
    var storedLength: UInt64 = 0
    var rawLength: UInt64 = 0
    var reserved: UInt32 = 0
    var checksum: UInt32 = 0
    var digest: UInt8 = 0
  }

  private var random: SeededGenerator

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  /// A mutant of `file`, which a reader accepts.
  mutating func mutant(of file: [UInt8]) -> [UInt8] {
    var sections = Self.sections(of: file)
    var header = Array(file[8..<28])
    var tail: [UInt8] = []
    for _ in 0..<choose([1, 1, 1, 2, 3]) {
      switch pick(16) {
      case 0: change(&header)
      case 1: rearrange(&sections)
      case 2...5: changeEntry(&sections)
      case 6: compress(&sections)
      case 7: tail = [UInt8](repeating: UInt8(pick(2)), count: 1 + pick(16))
      default: changeContent(&sections)
      }
    }
    var result = assemble(sections, header: header, tail: tail)
    switch pick(40) {
    case 0: result = Array(result.prefix(pick(result.count + 1)))
    case 1: result += [UInt8(pick(256))]
    case 2: result[pick(result.count)] ^= 1 << UInt8(pick(8))
    default: break
    }
    return result
  }

  private mutating func pick(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

  private mutating func choose<Element>(_ items: [Element]) -> Element { items[pick(items.count)] }

  // MARK: - Changes

  private mutating func change(_ header: inout [UInt8]) {
    // major, minor, header_size, file_length (added to what is right), section_count
    let (offset, width) = choose([(0, 2), (2, 2), (4, 4), (8, 8), (16, 4)])
    let value = choose([0, 1, 2, 64, 65, 0xFFFF, UInt64(pick(256))])
    for byte in 0..<width {
      header[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
    }
  }

  private mutating func rearrange(_ sections: inout [Section]) {
    guard !sections.isEmpty else { return }
    let index = pick(sections.count)
    switch pick(4) {
    case 0: sections.remove(at: index)
    case 1: sections.swapAt(index, pick(sections.count))
    case 2:
      var copy = sections[index]
      copy.instance = choose([copy.instance, copy.instance &+ 1, 2, 65_535])
      sections.insert(copy, at: pick(2) == 0 ? index + 1 : pick(sections.count + 1))
    default:
      let tag = choose(["NOTE", "X001", "AAAA", "ALGN", "DEPL", "PROV", "SCOR"])
      let content = [UInt8](repeating: UInt8(pick(3)), count: choose([0, 4, 16, 24, 64, 96]))
      sections.insert(
        Section(
          tag: Array(tag.utf8), flags: UInt8(choose([0, 2, 2, 1])), codec: 0,
          instance: UInt16(pick(2)), content: content, stored: content),
        at: pick(2) == 0 ? sections.count : pick(sections.count + 1))
    }
  }

  private mutating func changeEntry(_ sections: inout [Section]) {
    guard !sections.isEmpty else { return }
    let index = pick(sections.count)
    let deltas: [UInt64] = [
      1, 8, 64, UInt64(bitPattern: -1), UInt64(bitPattern: -8), 1 << 63, 65 << 20,
    ]
    switch pick(10) {
    case 0: sections[index].tag[pick(4)] = UInt8(pick(128))
    case 1:
      sections[index].tag = Array(choose(["GEOM", "MASK", "ALGN", "SCOR", "PROV", "Z999"]).utf8)
    case 2: sections[index].flags = UInt8(pick(8))
    case 3: sections[index].codec = UInt8(pick(3))
    case 4: sections[index].instance = choose([0, 1, 2, 3, 65_535])
    case 5: sections[index].reserved = choose([1, 1 << 31])
    case 6: sections[index].offset = choose(deltas)
    case 7: sections[index].storedLength = choose(deltas)
    case 8: sections[index].rawLength = choose(deltas)
    default:
      if pick(2) == 0 { sections[index].checksum = 1 } else { sections[index].digest = 1 }
    }
  }

  private mutating func compress(_ sections: inout [Section]) {
    guard !sections.isEmpty else { return }
    let index = pick(sections.count)
    let content = sections[index].content
    guard sections[index].codec == 0, let frame = try? Zstd.compress(content.span),
      frame.count < content.count
    else { return }
    sections[index].codec = 1
    sections[index].stored = frame
  }

  private mutating func changeContent(_ sections: inout [Section]) {
    guard !sections.isEmpty else { return }
    let index = pick(sections.count)
    if sections[index].codec == 1, pick(2) == 0 {
      // the frame, whose header is the most interesting part
      let front = pick(2) == 0 ? 12 : sections[index].stored.count
      sections[index].stored[pick(min(front, sections[index].stored.count))] = UInt8(pick(256))
      return
    }
    var content = sections[index].content
    switch pick(12) {
    case 0: content.removeLast(min(content.count, choose([1, 4, 8, 24])))
    case 1: content += [UInt8](repeating: UInt8(pick(2)), count: choose([1, 2, 4, 24]))
    case 2...6 where !content.isEmpty:
      content[choose([pick(min(24, content.count)), pick(content.count)])] = choose([
        0, 1, 2, 3, 4, 127, 128, 255, UInt8(pick(256)),
      ])
    default:
      let width = choose([2, 4, 8])
      guard content.count >= width else { break }
      let near = min(content.count - width, choose([24, 72, content.count]))
      let offset = pick(near + 1) / width * width
      let value = choose([
        0, 1, 3, 4, 7, 8, 4096, 4097, 65_536, 65_537, 1 << 31, 0xFFFF_FFFF, 1 << 63, .max,
        0x3FF0_0000_0000_0000, 0x7FF8_0000_0000_0000, 0x7F80_0001, 0x3F80_0001,
      ])
      for byte in 0..<width {
        content[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
      }
    }
    sections[index].content = content
    sections[index].codec = 0
    sections[index].stored = content
  }

  // MARK: - Apart and together

  private static func sections(of file: [UInt8]) -> [Section] {
    let count = Int(file.span.littleEndian(at: 24) as UInt32)
    return (0..<count).map { index in
      let start = FormatHeader.size + index * SectionEntry.size
      let offset = Int(file.span.littleEndian(at: start + 8) as UInt64)
      let stored = Array(
        file[offset..<offset + Int(file.span.littleEndian(at: start + 16) as UInt64)])
      let length = Int(file.span.littleEndian(at: start + 24) as UInt64)
      let content =
        file[start + 5] == 1 ? (try? Zstd.decompress(stored.span, count: length)) ?? [] : stored
      return Section(
        tag: Array(file[start..<start + 4]), flags: file[start + 4], codec: file[start + 5],
        instance: file.span.littleEndian(at: start + 6), content: content, stored: stored)
    }
  }

  private mutating func assemble(
    _ sections: [Section], header: [UInt8], tail: [UInt8]
  ) -> [UInt8] {
    // one time in thirty a seal is left as it is, which is wrong
    let isBroken = (0..<3).map { _ in pick(30) == 0 }
    var table = ByteWriter()
    var body: [UInt8] = []
    var logical: [UInt8] = []
    let start = FormatHeader.size + SectionTable.size(of: sections.count)
    let filler = UInt8(pick(25) == 0 ? 1 : 0)
    for section in sections {
      let unit = section.tag == Array("SCOR".utf8) ? 64 : 8
      while (start + body.count) % unit != 0 { body.append(filler) }
      var digest = contentDigest(section.content)
      digest[0] ^= section.digest
      let rawLength = UInt64(section.content.count) &+ section.rawLength
      table.append(contentsOf: section.tag)
      table.append(section.flags)
      table.append(section.codec)
      table.append(section.instance)
      table.append(UInt64(start + body.count) &+ section.offset)
      table.append(UInt64(section.stored.count) &+ section.storedLength)
      table.append(rawLength)
      table.append(CRC32.of(section.stored.span) ^ section.checksum)
      table.append(section.reserved)
      table.append(contentsOf: digest)
      var identity = ByteWriter()
      identity.append(contentsOf: section.tag + [section.flags, 0])
      identity.append(section.instance)
      identity.append(rawLength)
      identity.append(contentsOf: digest)
      logical += identity.bytes
      body += section.stored
    }
    body += tail
    let changedCount: UInt32 = header.span.littleEndian(at: 16)
    let count = changedCount > 64 || pick(200) == 0 ? changedCount : UInt32(sections.count)
    let changedLength: UInt64 = header.span.littleEndian(at: 8)
    let isLength = changedLength < 64 || changedLength > 1 << 40
    var writer = ByteWriter()
    writer.append(contentsOf: FormatHeader.signature + header[..<8])
    writer.append(isLength && pick(4) > 0 ? changedLength : UInt64(start + body.count))
    writer.append(count)
    writer.append(contentsOf: isBroken[0] ? contentDigest([]) : contentDigest(logical))
    writer.append(isBroken[1] ? 0 : CRC32.of(writer.bytes.span))
    writer.append(contentsOf: table.bytes)
    writer.append(isBroken[2] ? 0 : CRC32.of(table.bytes.span))
    writer.append(UInt32(pick(60) == 0 ? 1 : 0))
    return writer.bytes + body
  }
}
