import ByteIO
import LeanKModel
import Synchronization

/// The experts of one layer: each is read when a token chooses it, and stays where there is room.
final class ExpertStore: Sendable {
  private let description: MixtureDescription.Experts
  private let count: Int
  private let hiddenSize: Int
  private let reader: WeightReader
  private let budget: WeightBudget
  private let resident = Mutex<[Int: Expert]>([:])

  init(
    _ description: MixtureDescription.Experts, count: Int, hiddenSize: Int, _ reader: WeightReader,
    budget: WeightBudget
  ) {
    self.description = description
    self.count = count
    self.hiddenSize = hiddenSize
    self.reader = reader
    self.budget = budget
  }

  /// Expert `index` of `count`.
  func expert(_ index: Int) throws(DecoderError) -> Expert {
    if let found = resident.withLock({ $0[index] }) { return found }
    let (expert, bytes) = try load(index)
    if budget.take(bytes) { resident.withLock { $0[index] = expert } }
    return expert
  }

  private func load(_ index: Int) throws(DecoderError) -> (Expert, bytes: Int) {
    switch description {
    case .separate(let list, let activation):
      guard list.count == count else {
        throw DecoderError(.geometry, "\(list.count) experts where the router knows \(count)")
      }
      var loader = LayerLoader(reader, budget: budget)
      let one = list[index]
      let gated = try loader.gated(one.gate, one.up, one.down, activation, hiddenSize)
      return (.gated(gated), loader.byteCount)
    case .interleaved(
      let gateUp, let gateUpBias, let down, let downBias, let alpha, let limit):
      let (up, upBias) = try untransposed(gateUp, gateUpBias, index, inputs: hiddenSize)
      let (back, backBias) = try untransposed(down, downBias, index, inputs: up.columns / 2)
      return (
        .interleaved(
          InterleavedExpert(
            gateUp: up, gateUpBias: upBias, down: back, downBias: backBias, alpha: alpha,
            limit: limit)), up.bytes.count + back.bytes.count
      )
    }
  }

  /// One expert of W [experts, in, out] and b [experts, out].
  private func untransposed(
    _ weight: String, _ bias: String, _ index: Int, inputs: Int
  ) throws(DecoderError) -> (WeightMatrix, bias: [Float]) {
    let extent = try reader.extent(of: weight)
    let biasExtent = try reader.extent(of: bias)
    guard extent.rows == count * inputs, biasExtent == (count, extent.columns) else {
      throw DecoderError(
        .tensorShape,
        "tensors \(quoted(weight)) and \(quoted(bias)) are not those of \(count) experts with "
          + "\(inputs) inputs")
    }
    let matrix = try reader.matrix(weight, rows: index * inputs..<(index + 1) * inputs)
    let added = try reader.matrix(bias, rows: index..<index + 1)
    return (matrix, added.widened(0..<extent.columns))
  }
}
