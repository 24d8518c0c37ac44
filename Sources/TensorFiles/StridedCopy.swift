import ByteIO

/// Elements in C order out of bytes where they lie in another order or byte order.
enum StridedCopy {
  /// Strides in elements of an array in C order, or in Fortran order.
  ///
  /// The caller has checked that the product of `shape` fits; an empty array gets strides of 0.
  static func strides(of shape: [Int], isFortran: Bool = false) -> [Int] {
    var strides = [Int](repeating: 0, count: shape.count)
    guard !shape.contains(0) else { return strides }
    var step = 1
    for axis in isFortran ? Array(shape.indices) : shape.indices.reversed() {
      strides[axis] = step
      step *= shape[axis]
    }
    return strides
  }

  /// Copies the elements of a view, last index fastest.
  ///
  /// - Parameters:
  ///   - start: byte of element 0; every element has been checked to lie in `source`.
  ///   - strides: steps in elements, at least 0.
  ///   - width: bytes of an element.
  ///   - isSwapped: whether the elements are big-endian.
  static func elements(
    of source: Span<UInt8>, from start: Int, shape: [Int], strides: [Int], width: Int,
    isSwapped: Bool
  ) -> [UInt8] {
    guard let count = shape.checkedProduct(), count > 0 else { return [] }
    if !isSwapped,
      zip(shape, zip(strides, Self.strides(of: shape))).allSatisfy({ size, steps in
        size == 1 || steps.0 == steps.1
      })
    {
      return source.copy(start..<start + count * width)
    }
    var result: [UInt8] = []
    result.reserveCapacity(count * width)
    var index = [Int](repeating: 0, count: shape.count)
    var element = 0
    for _ in 0..<count {
      let base = start + element * width
      for byte in 0..<width {
        result.append(source[base + (isSwapped ? width - 1 - byte : byte)])
      }
      var axis = shape.count - 1
      while axis >= 0 {
        index[axis] += 1
        element += strides[axis]
        if index[axis] < shape[axis] { break }
        element -= strides[axis] * shape[axis]
        index[axis] = 0
        axis -= 1
      }
    }
    return result
  }
}
