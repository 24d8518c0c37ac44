import ByteIO
import LeanKMask

/// The scores section: what the numbers are, then one number a channel in layer, head, channel order.
enum ScoresSection {
  private static let scalars: [UInt8: ImportanceScores.Scalar] = [1: .f32, 2: .f16, 3: .bf16]

  /// The scores begin at a multiple of so many bytes of the file: a mapped array of any type may.
  static let alignment = 64

  /// Bytes in front of the numbers: four, the kind, and zeros up to a multiple of `alignment`.
  private static func start(kindLength: Int) -> Int {
    (4 + kindLength + alignment - 1) / alignment * alignment
  }

  /// nil where the section is not understood.
  static func decode(_ bytes: Span<UInt8>, channels: Int) throws(FormatError) -> ImportanceScores? {
    guard let scalar = scalars[bytes[0]] else { return nil }
    guard bytes[1] == 0 else { throw FormatError(.reserved, "SCOR: reserved byte is not zero") }
    let kindLength = Int(bytes.littleEndian(at: 2) as UInt16)
    let start = start(kindLength: kindLength)
    guard bytes.count == start + channels * scalar.size else {
      throw FormatError(
        .scores,
        "SCOR: \(bytes.count) bytes, \(start + channels * scalar.size) hold \(channels) "
          + "\(scalar.rawValue) scores and a kind of \(kindLength) bytes")
    }
    guard let kind = String(name: bytes.copy(4..<4 + kindLength)) else {
      throw FormatError(.name, "SCOR: kind is not 1 to 255 visible ASCII characters")
    }
    for index in 4 + kindLength..<start where bytes[index] != 0 {
      throw FormatError(.padding, "SCOR: padding behind kind is not zero")
    }
    var bits: [UInt32] = []
    bits.reserveCapacity(channels)
    let negativeZero: UInt32 = scalar == .f32 ? 1 << 31 : 1 << 15
    for index in 0..<channels {
      let offset = start + index * scalar.size
      var pattern = UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8
      if scalar == .f32 {
        pattern |= UInt32(bytes[offset + 2]) << 16 | UInt32(bytes[offset + 3]) << 24
      }
      guard pattern != negativeZero else {
        throw FormatError(.scores, "SCOR: score \(index) is negative zero")
      }
      bits.append(pattern)
    }
    do throws(MaskError) {
      return try ImportanceScores(kind: kind, scalar: scalar, bits: bits)
    } catch {
      throw FormatError(.scores, error)
    }
  }

  static func encode(_ scores: ImportanceScores) -> [UInt8] {
    let kind = Array(scores.kind.utf8)
    var writer = ByteWriter()
    writer.append(scalars.first { $0.value == scores.scalar }?.key ?? 0)
    writer.append(UInt8(0))
    writer.append(UInt16(clamping: kind.count))
    writer.append(contentsOf: kind)
    writer.pad(to: alignment)
    var patterns: [UInt8] = []
    patterns.reserveCapacity(scores.count * scores.scalar.size)
    for pattern in scores.bits {
      for shift in stride(from: UInt32(0), to: UInt32(8 * scores.scalar.size), by: 8) {
        patterns.append(UInt8(truncatingIfNeeded: pattern >> shift))
      }
    }
    writer.append(contentsOf: patterns)
    return writer.bytes
  }
}
