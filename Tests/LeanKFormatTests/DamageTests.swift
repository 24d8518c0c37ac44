import ByteIO
import LeanKMask
import TestSupport
import Testing

@testable import LeanKFormat

/// No damaged file is read; one whose checksums were made good again is read as what it then says.
@Suite struct DamageTests {
  static let files: [[UInt8]] = {
    do {
      let single = try SampleDocuments.all(seed: 20).prefix(17).map {
        try LeankFile.encode($0).bytes
      }
      let several = try [2, 3, 7].map { geometry in
        try LeankFile.encode(
          instances: SampleDocuments.instances(seed: 20, geometry: geometry)
        ).bytes
      }
      return single + several
    } catch {
      return []
    }
  }()

  @Test(arguments: 0..<20) func everyPrefixIsRefused(index: Int) {
    let file = Self.files[index]
    for length in file.indices {
      let error = #expect(throws: FormatError.self) {
        try LeankFile(parsing: file.span.extracting(0..<length))
      }
      #expect(error?.code == .truncated)
    }
  }

  @Test(arguments: 0..<20) func everyFlippedBitIsRefused(index: Int) {
    var file = Self.files[index]
    var accepted: [Int] = []
    for bit in 0..<file.count * 8 {
      file[bit / 8] ^= 1 << UInt8(bit % 8)
      if (try? LeankFile(parsing: file.span)) != nil { accepted.append(bit) }
      file[bit / 8] ^= 1 << UInt8(bit % 8)
    }
    #expect(accepted == [])
  }

  /// Checksums and the content id are refreshed after each flip, so that deeper checks are reached.
  @Test(arguments: 0..<20) func everyFlippedBitWithGoodChecksums(index: Int) throws {
    let file = Self.files[index]
    for bit in 0..<file.count * 8 {
      var changed = file
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      checkSealed(changed, "file \(index), bit \(bit)")
    }
  }

  @Test(arguments: 0..<20) func integersAtTheirExtremes(index: Int) throws {
    let file = Self.files[index]
    let extremes: [UInt64] = [0, 1, 1 << 31, 1 << 63, UInt64(Int.max), .max]
    for offset in stride(from: 8, to: min(file.count - 8, 400), by: 4) {
      for extreme in extremes {
        for width in [4, 8] {
          var changed = file
          for byte in 0..<width {
            changed[offset + byte] = UInt8(truncatingIfNeeded: extreme >> UInt64(8 * byte))
          }
          checkSealed(changed, "file \(index), \(width) bytes at \(offset) = \(extreme)")
        }
      }
    }
  }

  @Test func sectionsSwappedOrDoubled() throws {
    let file = Self.files[3]
    let start = FormatHeader.size
    let size = SectionEntry.size
    let first = Array(file[start..<start + size])
    let second = Array(file[start + size..<start + 2 * size])
    var swapped = file
    swapped.replaceSubrange(start..<start + 2 * size, with: second + first)
    var doubled = file
    doubled.replaceSubrange(start + size..<start + 2 * size, with: first)
    for (changed, code) in [(swapped, FormatCode.sectionLayout), (doubled, .sectionOrder)] {
      let error = #expect(throws: FormatError.self) { try LeankFile(sealed(changed)) }
      #expect(error?.code == code)
    }
  }

  /// What text-mode transfers do to a file is said by name.
  @Test func transfersInTextMode() {
    let file = Self.files[0]
    var crlfToLF: [UInt8] = []
    var lfToCRLF: [UInt8] = []
    for (index, byte) in file.enumerated() {
      let isBeforeLF = index + 1 < file.count && file[index + 1] == 0x0A
      if byte != 0x0D || !isBeforeLF { crlfToLF.append(byte) }
      if byte == 0x0A { lfToCRLF.append(0x0D) }
      lfToCRLF.append(byte)
    }
    let sevenBits = file.map { $0 & 0x7F }
    let utf8 = Array(String(String.UnicodeScalarView(file.map { UnicodeScalar($0) })).utf8)
    let replaced = Array(String(decoding: file, as: UTF8.self).utf8)
    for (damaged, words) in [
      (crlfToLF, "line ends"), (lfToCRLF, "line ends"), (sevenBits, "high bit"),
      (utf8, "UTF-8"), (replaced, "UTF-8"), (Array(file[1...]), "first byte"),
    ] {
      let error = #expect(throws: FormatError.self) { try LeankFile(damaged) }
      #expect(error?.code == .transferDamage)
      #expect(error?.detail.contains(words) == true)
    }
  }

  /// `changed` with good checksums is refused, or a rewrite of what was read reads the same.
  private func checkSealed(_ changed: [UInt8], _ what: String) {
    guard let file = try? LeankFile(sealed(changed)) else { return }
    do {
      let again = try LeankFile(file.encoded())
      #expect(again.instances == file.instances, "\(what)")
      if file.opaqueSections.allSatisfy(\.isSafeToCopy) {
        #expect(again.contentID == file.contentID, "\(what)")
      }
    } catch {
      Issue.record("\(what): read, but not written: \(error)")
    }
  }
}
