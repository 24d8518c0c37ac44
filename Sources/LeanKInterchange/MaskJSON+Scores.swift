import ByteIO
import LeanKMask
import StrictJSON

extension MaskJSON {
  static func scores(
    _ value: JSONValue, _ geometries: [LayerGeometry]
  ) throws(InterchangeError) -> ImportanceScores {
    let place = InterchangeError.Location.byte(value.byteRange.lowerBound)
    guard value.kind == .object, value.count == 3, let kind = value["kind"]?.string,
      let name = value["dtype"]?.string, let scalar = ImportanceScores.Scalar(rawValue: name),
      let layers = value["values"], layers.kind == .array, layers.count == geometries.count
    else {
      throw InterchangeError(
        .json, "scores: expected kind, dtype (f32, f16 or bf16) and values, one array a layer",
        at: place)
    }
    var bits: [UInt32] = []
    for ((_, layer), geometry) in zip(layers.children, geometries) {
      guard layer.kind == .array, layer.count == geometry.kvHeads else {
        throw InterchangeError(
          .json, "scores: expected \(geometry.kvHeads) heads",
          at: .byte(layer.byteRange.lowerBound))
      }
      for (_, head) in layer.children {
        guard head.kind == .array, head.count == geometry.headDim else {
          throw InterchangeError(
            .json, "scores: expected \(geometry.headDim) channels",
            at: .byte(head.byteRange.lowerBound))
        }
        for (_, number) in head.children { bits.append(try pattern(number, scalar)) }
      }
    }
    return try InterchangeError.converting { () throws(MaskError) in
      try ImportanceScores(kind: kind, scalar: scalar, bits: bits)
    }
  }

  /// The bits of a number in `scalar`: the nearest F32, or a 16-bit float that it is exactly.
  private static func pattern(
    _ value: JSONValue, _ scalar: ImportanceScores.Scalar
  ) throws(InterchangeError) -> UInt32 {
    let place = InterchangeError.Location.byte(value.byteRange.lowerBound)
    guard let text = value.numberText, let number = Float(text), number.isFinite else {
      throw InterchangeError(.json, "scores: expected a number in the range of F32", at: place)
    }
    switch scalar {
    case .f32: return number.bitPattern
    case .bf16 where number.bitPattern & 0xFFFF == 0: return number.bitPattern >> 16
    case .f16:
      if let half = HalfPrecision.pattern(of: number) { return UInt32(half) }
    case .bf16: break
    }
    throw InterchangeError(.json, "scores: \(text) is not exact in \(scalar.rawValue)", at: place)
  }

  /// The document as text.
  ///
  /// Fails with `.unwritable` for infinite scores, which JSON has no number for.
  static func write(
    layers: [LayerGeometry], mask: ChannelMask?, scores: ImportanceScores?
  ) throws(InterchangeError) -> [UInt8] {
    var members = ["\"format\": \"\(format)\"", "\"version\": 1"]
    members.append("\"layers\": " + list(layers.map(object), indent: "  "))
    if let mask {
      let rows = mask.layers.map { layer in
        "["
          + layer.heads.map { "[" + join($0.channels.map(String.init)) + "]" }
          .joined(separator: ", ") + "]"
      }
      members.append("\"mask\": " + list(rows, indent: "  "))
    }
    if let scores {
      var rows: [String] = []
      var start = 0
      for layer in layers {
        var heads: [String] = []
        for _ in 0..<layer.kvHeads {
          var numbers: [String] = []
          for index in start..<start + layer.headDim {
            let value = scores[index]
            guard value.isFinite else {
              throw InterchangeError(
                .unwritable, "score \(index) is \(value), which JSON cannot hold")
            }
            numbers.append(number(value))
          }
          heads.append("[" + join(numbers) + "]")
          start += layer.headDim
        }
        rows.append("[" + heads.joined(separator: ", ") + "]")
      }
      members.append(
        "\"scores\": {\n    \"kind\": \(JSONText.quoted(scores.kind)),\n"
          + "    \"dtype\": \"\(scores.scalar.rawValue)\",\n"
          + "    \"values\": " + list(rows, indent: "    ") + "\n  }")
    }
    return Array(("{\n  " + members.joined(separator: ",\n  ") + "\n}\n").utf8)
  }

  private static func object(_ layer: LayerGeometry) -> String {
    var text = "{\"kv_heads\": \(layer.kvHeads), \"head_dim\": \(layer.headDim)"
    if let attention = layer.attention {
      text += ", \"query_heads\": \(attention.queryHeads)"
      text += ", \"rotary_width\": \(attention.rotary.width)"
      text += ", \"pairing\": \"\(attention.rotary.pairing.rawValue)\""
      if let width = attention.valueDim { text += ", \"value_dim\": \(width)" }
    }
    return text + "}"
  }

  private static func join(_ items: [String]) -> String { items.joined(separator: ", ") }

  /// One item a line.
  private static func list(_ items: [String], indent: String) -> String {
    "[\n" + items.map { indent + "  " + $0 }.joined(separator: ",\n") + "\n\(indent)]"
  }

  /// The shortest decimal that reads back as `value`; whole numbers without a point.
  private static func number(_ value: Float) -> String {
    let text = value.description
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}

/// IEEE binary16 in integers: `Float16` does not exist on Intel Macs.
enum HalfPrecision {
  /// The pattern whose value is exactly `value`; nil where there is none.
  static func pattern(of value: Float) -> UInt16? {
    let sign = UInt16(value.sign == .minus ? 0x8000 : 0)
    let magnitude = value.magnitude
    if magnitude == 0 { return sign }
    guard magnitude < 65_520 else { return nil }
    // below 2^-14 halves count in steps of 2^-24
    let exponent = max(Int(magnitude.exponent), -14)
    let steps = magnitude / Float(sign: .plus, exponent: exponent - 10, significand: 1)
    guard steps == steps.rounded(.down), steps < 2048 else { return nil }
    let whole = UInt16(steps)
    guard whole >= 1024 else { return sign | whole }
    return sign | UInt16(exponent + 15) << 10 | (whole - 1024)
  }
}
