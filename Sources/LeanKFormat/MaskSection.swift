import ByteIO
import LeanKMask

/// The mask section: one bit a channel, the two channels of a rotary pair side by side.
///
/// Pairs are kept or dropped together more often than neighbours are, so this order compresses
/// better than the channels' own.
enum MaskSection {
  /// Channels of a head in the order in which their bits stand.
  static func order(of layer: LayerGeometry) -> [Int] {
    let rotary = layer.rotaryOrAssumed
    guard rotary.pairing == .half else { return Array(0..<layer.headDim) }
    let half = rotary.width / 2
    let pairs = (0..<half).flatMap { [$0, $0 + half] }
    return pairs + Array(rotary.width..<layer.headDim)
  }

  static func decode(_ bytes: Span<UInt8>, shape: MaskShape) throws(FormatError) -> ChannelMask {
    var position = 0
    var layers: [LayerMask] = []
    layers.reserveCapacity(shape.layers.count)
    do throws(MaskError) {
      for geometry in shape.layers {
        let order = order(of: geometry)
        var heads: [ChannelSet] = []
        heads.reserveCapacity(geometry.kvHeads)
        for _ in 0..<geometry.kvHeads {
          var words = [UInt64](repeating: 0, count: (geometry.headDim + 63) / 64)
          for channel in order {
            let bit = UInt64(bytes[position >> 3] >> UInt8(position & 7) & 1)
            words[channel >> 6] |= bit << UInt64(channel & 63)
            position += 1
          }
          heads.append(ChannelSet(width: geometry.headDim, words: words))
        }
        layers.append(try LayerMask(geometry: geometry, heads: heads))
      }
      guard position == bytes.count * 8 || bytes[position >> 3] >> UInt8(position & 7) == 0 else {
        throw MaskError(.geometry, "unused bits of the last byte are not zero")
      }
      return try ChannelMask(layers: layers)
    } catch {
      throw FormatError(.maskBits, "MASK: \(error.description)")
    }
  }

  static func encode(_ mask: ChannelMask) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: (mask.channels + 7) / 8)
    var position = 0
    for layer in mask.layers {
      let order = order(of: layer.geometry)
      for head in layer.heads {
        for channel in order {
          if head[channel] { bytes[position >> 3] |= 1 << UInt8(position & 7) }
          position += 1
        }
      }
    }
    return bytes
  }
}
