import ByteIO
import LeanKMask

/// The alignment section, 24 bytes.
enum AlignmentSection {
  static let size = 24
  private static let rules: [Alignment.Rule] = [.given, .leank, .budget]

  /// `mask` tells what `channels_kept` has to be.
  static func decode(
    _ bytes: Span<UInt8>, mask: ChannelMask, limits: FormatLimits
  ) throws(FormatError) -> Alignment {
    let unit: UInt32 = bytes.littleEndian(at: 0)
    guard unit <= UInt32(limits.headDim) else {
      throw FormatError(.limit, "ALGN: unit is \(unit), the limit is \(limits.headDim)")
    }
    guard bytes[4] < rules.count, bytes[5] <= 1 else {
      throw FormatError(
        .unknownValue,
        "ALGN: rule \(bytes[4]) and has_target \(bytes[5]): known are 0 to 2 and 0 to 1")
    }
    guard bytes.littleEndian(at: 6) as UInt16 == 0 else {
      throw FormatError(.reserved, "ALGN: reserved bytes are not zero")
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
    do throws(MaskError) {
      return try Alignment(
        unit: Int(unit), rule: rules[Int(bytes[4])], targetRatio: bytes[5] == 1 ? target : nil)
    } catch {
      throw FormatError(.alignment, error)
    }
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

/// The deployment section, 16 bytes.
enum DeploymentSection {
  static let size = 16

  static func decode(_ bytes: Span<UInt8>) throws(FormatError) -> DeploymentHints {
    guard bytes[0] == 1 || bytes[0] == 2 else {
      throw FormatError(.unknownValue, "DEPL: mode \(bytes[0]), known are 1 and 2")
    }
    guard bytes[1] == 0, bytes.littleEndian(at: 2) as UInt16 == 0 else {
      throw FormatError(.reserved, "DEPL: reserved bytes are not zero")
    }
    let window = (0..<3).map { Int(bytes.littleEndian(at: 4 + 4 * $0) as UInt32) }
    guard bytes[0] == 2 else {
      guard window == [0, 0, 0] else {
        throw FormatError(.deployment, "DEPL: static mode with a window")
      }
      return .static
    }
    do throws(MaskError) {
      return .windowed(
        try AttentionWindow(sink: window[0], recent: window[1], accumulate: window[2]))
    } catch {
      throw FormatError(.deployment, error)
    }
  }

  static func encode(_ hints: DeploymentHints) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt32(hints.mode == .static ? 1 : 2))
    let window = hints.window
    for value in [window?.sink, window?.recent, window?.accumulate] {
      writer.append(UInt32(clamping: value ?? 0))
    }
    return writer.bytes
  }
}

/// The provenance section: entries sorted by their keys' bytes.
enum ProvenanceSection {
  static func decode(
    _ bytes: Span<UInt8>, limits: FormatLimits
  ) throws(FormatError) -> Provenance {
    var cursor = ByteCursor()
    guard let count = cursor.uint32(in: bytes), count >= 1 else {
      throw FormatError(.provenance, "PROV: no entries; a file without provenance has no PROV")
    }
    guard count <= UInt32(limits.provenanceEntries) else {
      throw FormatError(
        .limit, "PROV: \(count) entries, the limit is \(limits.provenanceEntries)")
    }
    var entries: [String: String] = [:]
    var previous: [UInt8] = []
    for index in 0..<count {
      guard let keyLength = cursor.uint16(in: bytes), let valueLength = cursor.uint32(in: bytes)
      else { throw FormatError(.provenance, "PROV: entry \(index) is cut off") }
      guard valueLength <= UInt32(limits.textBytes) else {
        throw FormatError(
          .limit, "PROV: value of \(valueLength) bytes, the limit is \(limits.textBytes)")
      }
      guard let key = cursor.bytes(Int(keyLength), in: bytes),
        let value = cursor.bytes(Int(valueLength), in: bytes)
      else { throw FormatError(.provenance, "PROV: entry \(index) is cut off") }
      guard let name = String(name: key) else {
        throw FormatError(
          .provenance, "PROV: key of entry \(index) is not 1 to 255 visible ASCII characters")
      }
      guard previous.lexicographicallyPrecedes(key) else {
        throw FormatError(.provenance, "PROV: key \(quoted(name)) is out of order")
      }
      guard let text = String(validating: value, as: UTF8.self) else {
        throw FormatError(.provenance, "PROV: value of \(quoted(name)) is not UTF-8")
      }
      entries[name] = text
      previous = key
    }
    guard cursor.offset == bytes.count else {
      throw FormatError(.provenance, "PROV: bytes behind the last entry")
    }
    return Provenance(entries)
  }

  static func encode(_ provenance: Provenance) -> [UInt8] {
    let entries = provenance.entries.map { (key: Array($0.key.utf8), value: Array($0.value.utf8)) }
    var writer = ByteWriter()
    writer.append(UInt32(clamping: entries.count))
    for (key, value) in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      writer.append(UInt16(clamping: key.count))
      writer.append(UInt32(clamping: value.count))
      writer.append(contentsOf: key)
      writer.append(contentsOf: value)
    }
    return writer.bytes
  }
}

extension String {
  /// A name: 1 to 255 visible ASCII characters, so that it has one spelling in every program.
  init?(name: [UInt8]) {
    guard (1...FormatLimits.nameBytes).contains(name.count),
      name.allSatisfy({ (0x21...0x7E).contains($0) })
    else { return nil }
    self = String(decoding: name, as: UTF8.self)
  }
}
