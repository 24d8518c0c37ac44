import ByteIO
import LeanKMask

/// A model whose layers are in part attention without QK-norm, and whose rotation is known: rows of
/// K and Q of those layers can be left out, though no decoder runs the model.
private struct HybridFamily: Sendable {
  let modelTypes: [String]
  /// How keys of so many channels are rotated.
  let rotary: @Sendable (ConfigurationObject, Int) throws(ModelError) -> RotaryGeometry

  static let all: [HybridFamily] = [graniteMoeHybrid, nemotronH]

  /// Granite 4: attention with or without RoPE, and Mamba 2.
  static let graniteMoeHybrid = HybridFamily(modelTypes: ["granitemoehybrid"]) {
    (root: ConfigurationObject, width: Int) throws(ModelError) -> RotaryGeometry in
    let key = "position_embedding_type"
    guard let kind = try root.optionalString(key), kind != "nope" else { return .none }
    guard kind == "rope" else {
      throw root.error(.unsupportedModel, "positions of type \(quoted(kind)) are not known", key)
    }
    for object in [root, try root.object("rope_parameters"), try root.object("rope_scaling")] {
      let factor = "partial_rotary_factor"
      guard let object, try object.optionalNumber(factor).map({ $0 != 1 }) ?? false else {
        continue
      }
      throw object.error(
        .unsupportedModel, "expected 1: all channels rotate in this family", factor)
    }
    do throws(MaskError) {
      return try RotaryGeometry(width: width, pairing: .half)
    } catch {
      throw root.error(.inconsistent, error.description, "head_dim")
    }
  }

  /// Nemotron-H: attention without RoPE, Mamba 2 and feed-forward layers.
  static let nemotronH = HybridFamily(modelTypes: ["nemotron_h"]) {
    (_: ConfigurationObject, _: Int) throws(ModelError) -> RotaryGeometry in .none
  }
}

extension ModelFamily {
  /// Models without a decoder of which layouts `rows` and `zeroed` are exact all the same.
  public static let hybridTypes = HybridFamily.all.flatMap(\.modelTypes)

  /// The layers with the places of their rows and their rotation, nil where they are not known.
  static func layersWithRows(
    _ modelType: String, _ model: GenericGeometry
  ) throws(ModelError) -> [ModelGeometry.Layer]? {
    guard let family = HybridFamily.all.first(where: { $0.modelTypes.contains(modelType) }) else {
      return nil
    }
    var layers = model.layers
    for (index, heads) in model.heads {
      guard let member = model.members[index], !member.isFused, !model.gated.contains(index),
        layers[index].keyNorm == .none, heads.valueDim == nil
      else { return nil }
      func rows(_ name: String, _ count: Int) -> HeadRows {
        let name = member.prefix + name
        return .consecutive(
          weight: name + ".weight", bias: model.shapes[name + ".bias"].map { _ in name + ".bias" },
          heads: count, headDim: heads.headDim)
      }
      layers[index].rows = AttentionRows(
        group: heads.queryHeads / heads.kvHeads, query: rows("q_proj", heads.queryHeads),
        key: rows("k_proj", heads.kvHeads), value: rows("v_proj", heads.kvHeads))
      let rotary = try family.rotary(model.text, heads.headDim)
      do throws(MaskError) {
        layers[index].geometry = try LayerGeometry(
          kvHeads: heads.kvHeads, headDim: heads.headDim,
          attention: AttentionGeometry(queryHeads: heads.queryHeads, rotary: rotary))
      } catch {
        throw ModelError(.inconsistent, error.description)
      }
    }
    return layers
  }

  /// Whether the files of a model have keys of layers that use those of earlier ones.
  static func keepsKeysOfSharedLayers(_ modelType: String) -> Bool {
    ["gemma3n", "gemma3n_text"].contains(modelType)
  }
}
