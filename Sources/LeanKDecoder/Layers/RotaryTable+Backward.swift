import LeanKMask

extension RotaryTable {
  /// Takes one row of full-width heads, which is the token at `position`, from the derivative by the
  /// rotated heads to that by the heads before: the transposed rotation.
  func rotateBack(
    _ gradient: inout Matrix, row: Int, position: Int, _ geometry: RotaryGeometry, _ headDim: Int
  ) {
    let (step, reach) = geometry.pairing == .half ? (1, pairs) : (2, 1)
    let angles = first(at: position)
    for head in stride(
      from: row * gradient.columns, to: (row + 1) * gradient.columns, by: headDim)
    {
      for pair in 0..<pairs {
        let cosine = cosine[angles + pair]
        let sine = sine[angles + pair]
        let first = head + pair * step
        let a = gradient.values[first]
        let b = gradient.values[first + reach]
        gradient.values[first] = a * cosine + b * sine
        gradient.values[first + reach] = b * cosine - a * sine
      }
    }
  }
}
