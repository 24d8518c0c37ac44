public import LeanKMask

/// One way to run a model.
public struct DecoderSide: Sendable {
  enum Attention: Sendable {
    case dense(ChannelMask?)
    case pruned(ChannelMask, rows: ChannelMask?)
  }

  public let model: DecoderModel
  let attention: Attention

  /// Whole keys, no mask.
  public static func dense(_ model: DecoderModel) -> DecoderSide {
    DecoderSide(model: model, attention: .dense(nil))
  }

  /// Whole keys from all rows, the mask applied to them.
  public static func masked(_ model: DecoderModel, _ mask: ChannelMask) -> DecoderSide {
    DecoderSide(model: model, attention: .dense(mask))
  }

  /// A cache of |M| channels a head. `rows` says which rows of each head the model's K and Q
  /// projections have (`mask.closed` after layout `rows`); nil = all.
  public static func pruned(
    _ model: DecoderModel, _ mask: ChannelMask, rows: ChannelMask? = nil
  ) -> DecoderSide {
    DecoderSide(model: model, attention: .pruned(mask, rows: rows))
  }
}
