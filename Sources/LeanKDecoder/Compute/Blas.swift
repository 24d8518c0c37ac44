import COpenBLAS

/// Products of f32 matrices by OpenBLAS, for attention over whole keys alone: the cached side, which is
/// checked against it, has loops of its own. The only importer of OpenBLAS.
enum Blas {
  /// OpenBLAS runs in the calling thread, ours are the threads.
  private static let singleThreaded: Void = openblas_set_num_threads(1)

  /// `out = a bᵀ` for f32 rows: out[first + i * stride + j] = a[i] . b[j].
  static func scores(
    into out: inout [Float], at first: Int = 0, stride: Int, _ a: Span<Float>,
    _ aRows: Kernels.Rows, _ b: Span<Float>,
    _ bRows: Kernels.Rows
  ) {
    precondition(aRows.width == bRows.width && aRows.extent <= a.count && bRows.extent <= b.count)
    guard aRows.count > 0, bRows.count > 0 else { return }
    precondition(first >= 0 && stride >= bRows.count)
    precondition(first + (aRows.count - 1) * stride + bRows.count <= out.count)
    singleThreaded
    unsafe out.withUnsafeMutableBufferPointer { out in
      unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in
          unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(aRows.count), blasint(bRows.count),
            blasint(aRows.width), 1, a.baseAddress, blasint(aRows.stride), b.baseAddress,
            blasint(bRows.stride), 0, out.baseAddress.map { unsafe $0 + first },
            blasint(stride))
        }
      }
    }
  }

  /// `a b` for f32 rows: [aRows.count, bRows.width].
  static func weightedSum(
    _ a: Span<Float>, _ aRows: Kernels.Rows, _ b: Span<Float>, _ bRows: Kernels.Rows
  ) -> [Float] {
    precondition(aRows.width == bRows.count && aRows.extent <= a.count && bRows.extent <= b.count)
    let count = aRows.count * bRows.width
    guard count > 0, bRows.count > 0 else { return [Float](repeating: 0, count: count) }
    singleThreaded
    return unsafe [Float](unsafeUninitializedCapacity: count) { out, initialized in
      unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in
          unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(aRows.count), blasint(bRows.width),
            blasint(aRows.width), 1, a.baseAddress, blasint(aRows.stride), b.baseAddress,
            blasint(bRows.stride), 0, out.baseAddress, blasint(bRows.width))
        }
      }
      initialized = count
    }
  }
}
