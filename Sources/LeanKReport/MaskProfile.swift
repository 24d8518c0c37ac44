public import LeanKMask

/// Where a mask keeps channels: by layer and head, by channel, by rotary frequency.
public struct MaskProfile: Sendable, Hashable {
  public let statistics: MaskStatistics
  public let layers: [LayerProfile]
  /// One for each rotary width among the layers that rotate, ascending.
  public let frequencies: [FrequencyProfile]
  /// Channels outside every rotated pair, and those of them that are kept.
  public let unrotated: KeptShare
  public let headClasses: HeadClasses

  public init(of mask: ChannelMask) {
    statistics = MaskStatistics(of: mask)
    layers = mask.layers.enumerated().map { LayerProfile(of: $1, index: $0) }
    headClasses = HeadClasses(of: mask)
    frequencies = FrequencyProfile.all(of: mask)
    var unrotated = KeptShare()
    for layer in mask.layers {
      let start = layer.geometry.rotaryOrAssumed.width
      for head in layer.heads {
        unrotated.channels += head.width - start
        unrotated.kept += head.channels.count { $0 >= start }
      }
    }
    self.unrotated = unrotated
  }

  /// Kept share of the rotated channels by quarter of the frequencies, the fastest first.
  ///
  /// With half pairs these are the quarters of each half of a head. Empty when nothing rotates.
  public var quarters: [KeptShare] {
    guard !frequencies.isEmpty else { return [] }
    var result = [KeptShare](repeating: KeptShare(), count: 4)
    for profile in frequencies {
      for (index, share) in profile.shares.enumerated() {
        result[index * 4 / profile.shares.count] += share
      }
    }
    return result
  }
}

/// A number of channels, and how many of them a mask keeps.
public struct KeptShare: Sendable, Hashable, Encodable {
  public var kept = 0
  public var channels = 0

  public init(kept: Int = 0, channels: Int = 0) {
    self.kept = kept
    self.channels = channels
  }

  /// Kept part of the channels; 0 when there are none.
  public var ratio: Double { channels == 0 ? 0 : Double(kept) / Double(channels) }

  static func += (left: inout KeptShare, right: KeptShare) {
    left.kept += right.kept
    left.channels += right.channels
  }
}

/// One layer of a profile.
public struct LayerProfile: Sendable, Hashable {
  public let index: Int
  public let geometry: LayerGeometry
  /// |M| of each head.
  public let counts: [Int]
  /// |C| of each head.
  public let closureCounts: [Int]
  /// Heads that keep channel c, by channel.
  public let channelHeads: [Int]

  init(of layer: LayerMask, index: Int) {
    self.index = index
    geometry = layer.geometry
    counts = layer.heads.map(\.count)
    closureCounts = layer.closure.map(\.count)
    var heads = [Int](repeating: 0, count: layer.geometry.headDim)
    for head in layer.heads {
      for channel in head.channels { heads[channel] += 1 }
    }
    channelHeads = heads
  }

  public var kept: Int { counts.reduce(0, +) }
  public var closureKept: Int { closureCounts.reduce(0, +) }
  public var emptyHeads: Int { counts.count { $0 == 0 } }
  public var share: KeptShare { KeptShare(kept: kept, channels: geometry.channels) }
}

/// Heads by how much they keep.
public struct HeadClasses: Sendable, Hashable, Encodable {
  /// Heads that keep nothing.
  public private(set) var empty = 0
  /// Heads that keep something, at most half of their channels.
  public private(set) var narrow = 0
  /// Heads that keep more than half, but not all.
  public private(set) var wide = 0
  /// Heads that keep every channel.
  public private(set) var full = 0

  init(of mask: ChannelMask) {
    for head in mask.layers.lazy.flatMap(\.heads) {
      switch head.count {
      case 0: empty += 1
      case head.width: full += 1
      case let count where count * 2 <= head.width: narrow += 1
      default: wide += 1
      }
    }
  }
}

/// Kept share by rotary frequency, over the layers that rotate the same number of channels.
public struct FrequencyProfile: Sendable, Hashable {
  public let rotaryWidth: Int
  public let layers: Int
  /// By frequency, index 0 turning fastest; both channels of a pair count.
  public let shares: [KeptShare]

  static func all(of mask: ChannelMask) -> [FrequencyProfile] {
    var shares: [Int: [KeptShare]] = [:]
    var layers: [Int: Int] = [:]
    for layer in mask.layers {
      let rotary = layer.geometry.rotaryOrAssumed
      guard rotary.width > 0 else { continue }
      layers[rotary.width, default: 0] += 1
      var counted =
        shares[rotary.width] ?? [KeptShare](repeating: KeptShare(), count: rotary.width / 2)
      for index in counted.indices { counted[index].channels += 2 * layer.heads.count }
      for head in layer.heads {
        for channel in head.channels {
          if let index = rotary.frequencyIndex(of: channel) { counted[index].kept += 1 }
        }
      }
      shares[rotary.width] = counted
    }
    return shares.sorted { $0.key < $1.key }.map {
      FrequencyProfile(rotaryWidth: $0.key, layers: layers[$0.key] ?? 0, shares: $0.value)
    }
  }
}
