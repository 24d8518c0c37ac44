import ByteIO

/// Compares one layer's tensors with the heads that config.json gives it.
struct Witness {
  let hidden: Int
  /// Whether keys are values, too, where no tensor gives values.
  let sharesValues: Bool
  let weights: WeightShapes

  /// What the tensors say beyond that they agree.
  struct Finding {
    var norm: ModelGeometry.KeyNorm
    /// Whether each query head has as many rows again, a gate's.
    var isGated: Bool
  }

  private static let outputs = ["o_proj", "dense", "out_proj", "c_proj"]
  private static let keyNorms = ["k_norm", "k_layernorm", "key_layernorm", "norm_k", "k_ln"]
  private static let queryNorms = ["q_norm", "q_layernorm", "query_layernorm", "norm_q", "q_ln"]

  /// Fails on the first tensor that is missing or has another shape.
  func check(
    _ member: AttentionStack.Member, _ shape: HeadShape, layer: Int
  ) throws(ModelError) -> Finding {
    let values = shape.valueDim ?? shape.headDim
    let (queryRows, keyRows) = (shape.queryHeads * shape.headDim, shape.kvHeads * shape.headDim)
    let text =
      "\(shape.queryHeads) query and \(shape.kvHeads) KV heads of \(shape.headDim) channels"
      + (shape.valueDim.map { ", values of \($0)," } ?? "") + " in layer \(layer)"
    func require(_ name: String, _ candidates: [[Int]]) throws(ModelError) -> Int {
      guard let index = try weights.match(member.prefix + name, candidates, text) else {
        throw ModelError(
          .missingKey, "tensor \(quoted(member.prefix + name + ".weight")) is missing")
      }
      return index
    }
    var isGated = false
    if member.isFused {
      _ = try require(
        member.projection, [[queryRows + keyRows + shape.kvHeads * values, hidden]])
      for name in ["q_proj", "k_proj", "v_proj"] where weights.contains(member.prefix + name) {
        throw ModelError(
          .inconsistent,
          "tensors \(quoted(member.name)) and \(quoted(member.prefix + name + ".weight")) both are there"
        )
      }
      try checkBias(member, [queryRows + keyRows + shape.kvHeads * values])
    } else {
      _ = try require(member.projection, [[keyRows, hidden]])
      isGated = try require("q_proj", [[queryRows, hidden], [2 * queryRows, hidden]]) == 1
      if weights.contains(member.prefix + "v_proj") || !sharesValues {
        _ = try require("v_proj", [[shape.kvHeads * values, hidden]])
      }
      try checkBias(member, [keyRows])
    }
    try checkOutput(member, shape.queryHeads * values, text)
    let norm = try norm(
      Self.keyNorms, member, shape.kvHeads, shape.headDim, text)
    _ = try self.norm(Self.queryNorms, member, shape.queryHeads, shape.headDim, text)
    return Finding(norm: norm, isGated: isGated)
  }

  private func checkBias(
    _ member: AttentionStack.Member, _ expected: [Int]
  ) throws(ModelError) {
    let name = member.prefix + member.projection + ".bias"
    guard let found = weights.shapes[name], found != expected else { return }
    throw ModelError(
      .inconsistent, "tensor \(quoted(name)): expected shape \(expected), found \(found)")
  }

  private func checkOutput(
    _ member: AttentionStack.Member, _ columns: Int, _ text: String
  ) throws(ModelError) {
    for name in Self.outputs {
      if try weights.match(member.prefix + name, [[hidden, columns]], text) != nil { return }
    }
    throw ModelError(
      .missingKey, "tensor \(quoted(member.prefix + "o_proj.weight")) is missing")
  }

  /// Over what the heads are normed: a weight for one head, one for each, or one for all together.
  private func norm(
    _ names: [String], _ member: AttentionStack.Member, _ heads: Int, _ width: Int, _ text: String
  ) throws(ModelError) -> ModelGeometry.KeyNorm {
    for name in names {
      let name = member.prefix + name + ".weight"
      guard let found = weights.shapes[name] else { continue }
      if found == [width] || found == [heads, width] { return .perHead }
      guard found == [heads * width] else {
        throw ModelError(
          .inconsistent,
          "tensor \(quoted(name)): expected shape [\(width)], [\(heads), \(width)] or [\(heads * width)] "
            + "by \(text), found \(found)")
      }
      return .acrossHeads
    }
    return .none
  }
}
