/// Which two channels of a head RoPE rotates together.
public enum RotaryPairing: String, Sendable, Hashable, CaseIterable {
  /// Channel `j` with `j + width / 2` (Hugging Face Llama, Qwen, Gemma, ...).
  case half
  /// Channel `2j` with `2j + 1` (GLM-4, Cohere, ...).
  case interleaved
}

/// The part of a head that RoPE rotates. Channels at or past `width` have no partner; `width` 0 is
/// a layer without RoPE.
public struct RotaryGeometry: Sendable, Hashable {
  /// Number of rotated channels, even; counted from channel 0.
  public let width: Int
  public let pairing: RotaryPairing

  /// Fails unless `width` is even and not negative. Width 0 is always `none`, whatever `pairing` says.
  public init(width: Int, pairing: RotaryPairing) throws(MaskError) {
    guard width >= 0, width.isMultiple(of: 2) else {
      throw MaskError(.rotaryWidth, "rotary width \(width) is not an even number of channels")
    }
    self.width = width
    self.pairing = width == 0 ? .half : pairing
  }

  private init(unchecked width: Int) {
    self.width = width
    pairing = .half
  }

  /// A layer without RoPE.
  public static let none = RotaryGeometry(unchecked: 0)

  /// The channel rotated together with `channel`, nil where there is none.
  public func partner(of channel: Int) -> Int? {
    guard channel < width else { return nil }
    switch pairing {
    case .half: return channel < width / 2 ? channel + width / 2 : channel - width / 2
    case .interleaved: return channel ^ 1
    }
  }

  /// Index of `channel`'s frequency in the layer's table of `width / 2` inverse frequencies.
  public func frequencyIndex(of channel: Int) -> Int? {
    guard channel < width else { return nil }
    switch pairing {
    case .half: return channel % (width / 2)
    case .interleaved: return channel / 2
    }
  }

  /// Whether `channel` is the pair's first member, the one whose partner's sine term is negative.
  public func isFirstOfPair(_ channel: Int) -> Bool {
    switch pairing {
    case .half: return channel < width / 2
    case .interleaved: return channel.isMultiple(of: 2)
    }
  }
}

/// Shape of one layer's attention as a mask needs it.
public struct LayerGeometry: Sendable, Hashable {
  public let kvHeads: Int
  /// Channels of one key head, `head_dim`.
  public let headDim: Int
  /// What only a checkpoint can tell; nil for a mask imported from a bare array.
  public let attention: AttentionGeometry?

  /// A layer without a K cache of heads: linear attention, a state space, keys of another layer.
  public static let withoutCache = LayerGeometry()

  private init() {
    kvHeads = 0
    headDim = 0
    attention = nil
  }

  /// A layer with a K cache of heads.
  ///
  /// Fails when a count is below 1, the query heads do not divide into the KV heads, or the rotary
  /// width exceeds the head.
  public init(kvHeads: Int, headDim: Int, attention: AttentionGeometry? = nil) throws(MaskError) {
    guard kvHeads >= 1, headDim >= 1 else {
      throw MaskError(
        .geometry, "\(kvHeads) KV heads of \(headDim) channels: both must be at least 1")
    }
    if let attention {
      guard attention.queryHeads >= 1, attention.queryHeads.isMultiple(of: kvHeads) else {
        throw MaskError(
          .geometry, "\(attention.queryHeads) query heads are not a multiple of \(kvHeads) KV heads"
        )
      }
      guard attention.rotary.width <= headDim else {
        throw MaskError(
          .rotaryWidth, "rotary width \(attention.rotary.width) exceeds head_dim \(headDim)")
      }
      guard attention.valueDim.map({ $0 >= 1 }) ?? true else {
        throw MaskError(.geometry, "value_dim \(attention.valueDim ?? 0) is below 1")
      }
    }
    self.kvHeads = kvHeads
    self.headDim = headDim
    self.attention = attention.map {
      AttentionGeometry(
        queryHeads: $0.queryHeads, rotary: $0.rotary,
        valueDim: $0.valueDim == headDim ? nil : $0.valueDim)
    }
  }

  /// Whether the layer has a K cache of heads.
  public var hasCache: Bool { kvHeads > 0 }

  /// Width of one head of values: the recorded one, else that of the keys.
  public var valueDim: Int { attention?.valueDim ?? headDim }

  /// Channels of all KV heads of the layer.
  public var channels: Int { kvHeads * headDim }

  /// The recorded rotary geometry, or the assumption made without a checkpoint: half pairs over the
  /// whole head (over its even part, should `headDim` be odd).
  public var rotaryOrAssumed: RotaryGeometry {
    if let attention { return attention.rotary }
    return (try? RotaryGeometry(width: headDim & ~1, pairing: .half)) ?? .none
  }
}

/// Query heads, rotation and value width of one layer, known once a checkpoint has been seen.
public struct AttentionGeometry: Sendable, Hashable {
  public let queryHeads: Int
  public let rotary: RotaryGeometry
  /// Width of one head of values where it is not `head_dim`.
  public let valueDim: Int?

  public init(queryHeads: Int, rotary: RotaryGeometry, valueDim: Int? = nil) {
    self.queryHeads = queryHeads
    self.rotary = rotary
    self.valueDim = valueDim
  }
}
