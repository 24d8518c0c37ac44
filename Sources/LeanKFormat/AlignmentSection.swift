import ByteIO
import LeanKMask

/// The alignment section, 24 bytes.
enum AlignmentSection {
  static let size = 24
  private static let rules: [Alignment.Rule] = [.given, .leank, .budget]

  /// nil where the section is not understood. `mask` is the instance's own.
  static func decode(
    _ bytes: Span<UInt8>, mask: ChannelMask, limits: FormatLimits
  ) throws(FormatError) -> Alignment? {
    guard bytes[4] < rules.count else { return nil }
    guard bytes.littleEndian(at: 6) as UInt16 == 0 else {
      throw FormatError(.reserved, "ALGN: reserved bytes are not zero")
    }
    let unit: UInt32 = bytes.littleEndian(at: 0)
    guard unit <= UInt32(limits.headDim) else {
      throw FormatError(.limit, "ALGN: unit is \(unit), the limit is \(limits.headDim)")
    }
    guard bytes[5] <= 1 else {
      throw FormatError(.alignment, "ALGN: has_target is \(bytes[5]), expected 0 or 1")
    }
    let bits: UInt64 = bytes.littleEndian(at: 8)
    let target = Double(bitPattern: bits)
    guard bytes[5] == 1 ? bits != 1 << 63 : bits == 0 else {
      throw FormatError(
        .alignment, "ALGN: target_ratio \(target) is negative zero or not announced by has_target")
    }
    let kept: UInt64 = bytes.littleEndian(at: 16)
    guard kept == UInt64(mask.keptCount) else {
      throw FormatError(
        .alignment, "ALGN: channels_kept is \(kept), the mask keeps \(mask.keptCount)")
    }
    let alignment: Alignment
    do throws(MaskError) {
      alignment = try Alignment(
        unit: Int(unit), rule: rules[Int(bytes[4])], targetRatio: bytes[5] == 1 ? target : nil)
    } catch {
      throw FormatError(.alignment, error)
    }
    guard alignment.rule == .given || alignment.isMet(by: mask) else {
      throw FormatError(
        .alignment,
        "ALGN: rule \(alignment.rule.rawValue) with unit \(unit), and a head keeps neither a multiple of "
          + "it nor all channels")
    }
    return alignment
  }

  static func encode(_ alignment: Alignment, mask: ChannelMask) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt32(clamping: alignment.unit))
    writer.append(UInt8(rules.firstIndex(of: alignment.rule) ?? 0))
    writer.append(UInt8(alignment.targetRatio == nil ? 0 : 1))
    writer.append(UInt16(0))
    writer.append((alignment.targetRatio ?? 0).bitPattern)
    writer.append(UInt64(mask.keptCount))
    return writer.bytes
  }
}
