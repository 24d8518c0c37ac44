import ByteIO
import LeanKMask

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
          .name, "PROV: key of entry \(index) is not 1 to 255 visible ASCII characters")
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
