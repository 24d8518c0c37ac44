import ByteIO
import LeanKModel
import RealModule

/// Output projection of some of the vocabulary, with the scale and soft cap of its logits.
struct OutputHead: Sendable {
  /// Tokens of the vocabulary.
  let vocabulary: Range<Int>
  private let linear: Linear
  private let scale: Float
  private let softcap: Float?

  /// Logits of `vocabulary` for hidden states after the final norm: [tokens, vocabulary].
  func logits(_ hidden: Matrix, _ compute: ComputeContext) -> Matrix {
    var logits = linear.forward(hidden, compute)
    logits.multiply(by: scale)
    if let softcap {
      for index in logits.values.indices {
        logits.values[index] = Float.tanh(logits.values[index] / softcap) * softcap
      }
    }
    return logits
  }

  /// The projection of `part`, which is within `vocabulary`.
  func part(_ part: Range<Int>) -> OutputHead {
    let own = part.lowerBound - vocabulary.lowerBound..<part.upperBound - vocabulary.lowerBound
    return OutputHead(
      vocabulary: part,
      linear: Linear(
        weight: linear.weight, rows: [own], bias: linear.bias.map { Array($0[own]) }),
      scale: scale, softcap: softcap)
  }

  /// Where the projection lies, its shape checked.
  struct Plan {
    let rows: Range<Int>
    private let description: ModelDescription

    init(_ description: ModelDescription, _ reader: WeightReader) throws(DecoderError) {
      let head = description.outputHead
      let (allRows, columns) = try reader.extent(of: head.weight)
      rows = head.rows ?? 0..<allRows
      guard rows.upperBound <= allRows, columns == description.hiddenSize,
        rows.count == description.vocabularySize
      else {
        throw DecoderError(
          .tensorShape,
          "tensor \(quoted(head.weight)) is [\(rows.count), \(columns)] where "
            + "[\(description.vocabularySize), \(description.hiddenSize)] is needed")
      }
      self.description = description
    }

    /// Bytes of the whole projection as it is stored.
    func byteCount(_ reader: WeightReader) throws(DecoderError) -> Int {
      let element = reader.source.tensor(named: description.outputHead.weight)
        .flatMap { ElementType($0.scalar) }
      return rows.count * description.hiddenSize * (element?.byteWidth ?? 4)
    }

    /// The part for `vocabulary`.
    func block(
      _ vocabulary: Range<Int>, _ reader: WeightReader
    ) throws(DecoderError) -> OutputHead {
      let head = description.outputHead
      let own = rows.lowerBound + vocabulary.lowerBound..<rows.lowerBound + vocabulary.upperBound
      let weight = try reader.matrix(head.weight, rows: own)
      var bias: [Float]?
      if let name = head.bias {
        let all =
          if let range = head.rows {
            try reader.elements(name, range)
          } else {
            try reader.vector(name, count: rows.count)
          }
        bias = Array(all[vocabulary])
      }
      return OutputHead(
        vocabulary: vocabulary,
        linear: Linear(weight: weight, rows: [0..<vocabulary.count], bias: bias),
        scale: description.logitScale, softcap: description.logitSoftcap)
    }
  }
}
