/// A matrix of weights in the type it is stored in.
struct WeightMatrix: Sendable {
  let name: String
  let element: ElementType
  let rows: Int
  let columns: Int
  /// `rows * columns` elements, row after row.
  let bytes: AlignedBytes

  /// The elements as f32.
  func widened(_ range: Range<Int>, with kernels: Kernels = .best) -> [Float] {
    bytes.withSpan { bytes in
      kernels.widen(
        bytes.extracting(
          range.lowerBound * element.byteWidth..<range.upperBound * element.byteWidth), element)
    }
  }
}
