import ByteIO
import LeanKMask

/// What the geometry section says.
struct MaskShape: Sendable {
  let layers: [LayerGeometry]
  /// Channels of all heads of all layers.
  let channels: Int

  /// No layers yet.
  init() { self.init(layers: [], channels: 0) }

  init(of mask: ChannelMask) {
    self.init(layers: mask.layers.map(\.geometry), channels: mask.channels)
  }

  fileprivate init(layers: [LayerGeometry], channels: Int) {
    self.layers = layers
    self.channels = channels
  }
}

/// The geometry section: one record of 24 bytes a layer.
enum GeometrySection {
  static let recordSize = 24

  /// Reads the records; the number of bytes is known to be a multiple of theirs.
  static func decode(_ bytes: Span<UInt8>, limits: FormatLimits) throws(FormatError) -> MaskShape {
    var layers: [LayerGeometry] = []
    layers.reserveCapacity(bytes.count / recordSize)
    var heads = 0
    var channels = 0
    for index in 0..<bytes.count / recordSize {
      let layer = try Record(index, in: bytes, limits: limits).geometry()
      layers.append(layer)
      heads += layer.kvHeads
      channels += layer.channels
      guard heads <= limits.heads else {
        throw FormatError(.limit, "GEOM: more than \(limits.heads) KV heads in all")
      }
      guard channels <= limits.channels else {
        throw FormatError(.limit, "GEOM: more than \(limits.channels) channels in all")
      }
    }
    guard channels > 0 else {
      throw FormatError(.geometry, "GEOM: no layer has KV heads, so there is nothing to keep")
    }
    return MaskShape(layers: layers, channels: channels)
  }

  /// The fields of one record, each within its limit.
  private struct Record {
    let index: Int
    let isKnown: UInt8
    let pairing: UInt8
    let kvHeads: Int
    let headDim: Int
    let valueDim: Int
    let queryHeads: Int
    let rotaryWidth: Int

    init(_ index: Int, in bytes: Span<UInt8>, limits: FormatLimits) throws(FormatError) {
      let start = index * recordSize
      self.index = index
      isKnown = bytes[start]
      pairing = bytes[start + 1]
      guard isKnown <= 1, pairing <= 2 else {
        throw FormatError(
          .unknownValue,
          "GEOM: attention_known \(isKnown) and pairing \(pairing) of layer \(index): known are 0 to "
            + "1 and 0 to 2")
      }
      guard bytes.littleEndian(at: start + 2) as UInt16 == 0 else {
        throw FormatError(.reserved, "GEOM: reserved bytes of layer \(index) are not zero")
      }
      func field(_ name: String, at offset: Int, limit: Int) throws(FormatError) -> Int {
        let value: UInt32 = bytes.littleEndian(at: start + offset)
        guard value <= UInt32(limit) else {
          throw FormatError(
            .limit, "GEOM: \(name) of layer \(index) is \(value), the limit is \(limit)")
        }
        return Int(value)
      }
      kvHeads = try field("kv_heads", at: 4, limit: limits.kvHeads)
      headDim = try field("head_dim", at: 8, limit: limits.headDim)
      valueDim = try field("value_dim", at: 12, limit: limits.headDim)
      queryHeads = try field("query_heads", at: 16, limit: limits.queryHeads)
      rotaryWidth = try field("rotary_width", at: 20, limit: limits.headDim)
    }

    /// What the fields say together.
    func geometry() throws(FormatError) -> LayerGeometry {
      do throws(MaskError) {
        let saysNothing = pairing == 0 && valueDim == 0 && queryHeads == 0 && rotaryWidth == 0
        guard kvHeads > 0 || headDim > 0 else {
          guard isKnown == 0, saysNothing else {
            throw MaskError(.geometry, "a layer without KV heads has other fields that are not 0")
          }
          return .withoutCache
        }
        guard isKnown == 1 else {
          guard saysNothing else {
            throw MaskError(
              .geometry,
              "value_dim, query_heads, rotary_width or pairing without attention_known")
          }
          return try LayerGeometry(kvHeads: kvHeads, headDim: headDim)
        }
        guard (pairing == 0) == (rotaryWidth == 0) else {
          throw MaskError(.rotaryWidth, "pairing \(pairing) with rotary_width \(rotaryWidth)")
        }
        guard valueDim != headDim else {
          throw MaskError(.geometry, "value_dim \(valueDim) is head_dim, which is written as 0")
        }
        let rotary = try RotaryGeometry(
          width: rotaryWidth, pairing: pairing == 2 ? .interleaved : .half)
        return try LayerGeometry(
          kvHeads: kvHeads, headDim: headDim,
          attention: AttentionGeometry(
            queryHeads: queryHeads, rotary: rotary, valueDim: valueDim == 0 ? nil : valueDim))
      } catch {
        throw FormatError(.geometry, "GEOM: layer \(index): \(error.description)")
      }
    }
  }

  /// Numbers beyond 32 bits become the largest, which is above every limit.
  static func encode(_ shape: MaskShape) -> [UInt8] {
    var writer = ByteWriter()
    for layer in shape.layers {
      let rotary = layer.attention?.rotary ?? .none
      writer.append(UInt8(layer.attention == nil ? 0 : 1))
      writer.append(UInt8(rotary.width == 0 ? 0 : rotary.pairing == .half ? 1 : 2))
      writer.append(UInt16(0))
      let fields = [
        layer.kvHeads, layer.headDim, layer.attention?.valueDim ?? 0,
        layer.attention?.queryHeads ?? 0, rotary.width,
      ]
      for field in fields { writer.append(UInt32(clamping: field)) }
    }
    return writer.bytes
  }
}
