import CKernels

/// Loops of backward passes, and of other products with weights that are not transposed.
extension Kernels {
  /// Some columns of some rows of a matrix in `bytes`, whose rows have `width` elements, as f32:
  /// [rows of all ranges, columns].
  func widen(
    _ bytes: Span<UInt8>, rows ranges: [Range<Int>], columns: Range<Int>, width: Int,
    _ element: ElementType
  ) -> [Float] {
    let count = ranges.reduce(0) { $0 + $1.count } * columns.count
    precondition(columns.lowerBound >= 0 && columns.upperBound <= width)
    for range in ranges {
      precondition(
        range.isEmpty
          || range.lowerBound >= 0
            && range.upperBound * width * element.byteWidth <= bytes.count
      )
    }
    return unsafe [Float](unsafeUninitializedCapacity: count) { to, initialized in
      unsafe bytes.withUnsafeBytes { from in
        for row in ranges.joined() where !columns.isEmpty {
          let first = (row * width + columns.lowerBound) * element.byteWidth
          unsafe leank_widen(
            level, to.baseAddress.map { unsafe $0 + initialized },
            from.baseAddress.map { unsafe $0 + first }, columns.count, element.code)
          initialized += columns.count
        }
      }
    }
  }

  /// `out[first + t * stride + c] = sum over r of x[t][r] * w[r][c]` for every token and every column of
  /// `w`, which has as many rows as `x` is wide.
  ///
  /// Writes the first ones of each stride and reads none.
  @unsafe func multiplyColumns(
    into out: UnsafeMutableBufferPointer<Float>, at first: Int, stride: Int, _ x: PackedTokens,
    _ w: [Float]
  ) {
    guard x.width > 0, x.count > 0, !w.isEmpty else { return }
    let columns = w.count / x.width
    precondition(columns * x.width == w.count && columns <= stride && first >= 0)
    precondition(first + (x.count - 1) * stride + columns <= out.count)
    unsafe x.values.withUnsafeBufferPointer { packed in
      unsafe w.withUnsafeBufferPointer { w in
        unsafe leank_multiply_columns(
          level, out.baseAddress.map { unsafe $0 + first }, stride, packed.baseAddress, x.count,
          w.baseAddress, columns, columns, x.width)
      }
    }
  }

  /// The derivatives behind `siluProduct`: `gradient` comes as that by the product and goes as that by
  /// the gate; `upGradient` is written.
  func siluGradient(
    _ gradient: inout MutableSpan<Float>, _ upGradient: inout MutableSpan<Float>,
    gate: Span<Float>, up: Span<Float>
  ) {
    let count = gradient.count
    precondition(upGradient.count == count && gate.count == count && up.count == count)
    unsafe gradient.withUnsafeMutableBufferPointer { gradient in
      unsafe upGradient.withUnsafeMutableBufferPointer { upGradient in
        unsafe gate.withUnsafeBufferPointer { gate in
          unsafe up.withUnsafeBufferPointer { up in
            unsafe leank_silu_gradient(
              level, gradient.baseAddress, upGradient.baseAddress, gate.baseAddress,
              up.baseAddress, count)
          }
        }
      }
    }
  }
}
