import CKernels

/// The loops of CKernels behind bounds checks. The files of this type, `ElementType` and `WorkerPool`
/// are the only importers of its loops.
struct Kernels: Sendable {
  let level: CInt

  /// The loops of instruction set `level`, 0 being the baseline; nil where this machine has none.
  init?(level: Int) {
    guard (0..<Self.levels).contains(level), leank_has_level(CInt(level)) != 0 else { return nil }
    self.level = CInt(level)
  }

  private init(known level: Int) { self.level = CInt(level) }

  /// Number of instruction sets that exist on some machine.
  static let levels = Int(LEANK_LEVELS)

  /// The fastest loops of this machine.
  static let best =
    (1..<levels).reversed().lazy.compactMap(Kernels.init(level:)).first
    ?? Kernels(known: 0)

  /// Rows of `width` elements, `stride` apart, inside a span.
  struct Rows {
    let count: Int
    let width: Int
    let stride: Int

    init(_ count: Int, width: Int, stride: Int? = nil) {
      self.count = count
      self.width = width
      self.stride = stride ?? width
    }

    /// Elements from the first of the first row to the last of the last.
    var extent: Int { count == 0 ? 0 : (count - 1) * stride + width }
  }

  /// The elements of `bytes` as f32.
  func widen(_ bytes: Span<UInt8>, _ element: ElementType) -> [Float] {
    let count = bytes.count / element.byteWidth
    return unsafe [Float](unsafeUninitializedCapacity: count) { to, initialized in
      unsafe bytes.withUnsafeBufferPointer { from in
        if count > 0 {
          unsafe leank_widen(level, to.baseAddress, from.baseAddress, count, element.code)
        }
      }
      initialized = count
    }
  }

  /// `out[v * stride + r] = x[v] . w[r]` for every row of `x` and of `w`.
  func dotRows(
    into out: inout [Float], at first: Int = 0, stride: Int, _ x: Span<Float>, _ vectors: Rows,
    _ w: Span<UInt8>, _ rows: Rows, _ element: ElementType
  ) {
    unsafe dotRows(
      into: &out, at: first, stride: stride, x, vectors, raw: w.bytes, rows, element)
  }

  /// The same over f32 rows.
  func dotRows(
    into out: inout [Float], at first: Int = 0, stride: Int, _ x: Span<Float>, _ vectors: Rows,
    _ w: Span<Float>, _ rows: Rows
  ) {
    unsafe dotRows(
      into: &out, at: first, stride: stride, x, vectors, raw: w.bytes, rows, .f32)
  }

  private func dotRows(
    into out: inout [Float], at first: Int = 0, stride: Int, _ x: Span<Float>, _ vectors: Rows,
    raw w: RawSpan, _ rows: Rows, _ element: ElementType
  ) {
    precondition(first >= 0 && first <= out.count)
    unsafe out.withUnsafeMutableBufferPointer { out in
      unsafe dotRows(
        into: UnsafeMutableBufferPointer(rebasing: out[first...]), stride: stride, x, vectors,
        raw: w, rows, element)
    }
  }

  /// The same into memory of the caller's.
  @unsafe func dotRows(
    into out: UnsafeMutableBufferPointer<Float>, stride: Int, _ x: Span<Float>, _ vectors: Rows,
    raw w: RawSpan, _ rows: Rows, _ element: ElementType
  ) {
    precondition(vectors.width == rows.width && stride >= rows.count)
    precondition(vectors.extent <= x.count && rows.extent * element.byteWidth <= w.byteCount)
    guard vectors.count > 0, rows.count > 0 else { return }
    precondition((vectors.count - 1) * stride + rows.count <= out.count)
    unsafe x.withUnsafeBufferPointer { x in
      unsafe w.withUnsafeBytes { w in
        unsafe leank_dot_rows(
          level, out.baseAddress, stride, x.baseAddress, vectors.stride, vectors.count,
          w.baseAddress, rows.stride, rows.count, rows.width, element.code)
      }
    }
  }

  /// `out[v] += sum over r of p[v][r] * w[r]`; rows of `out` lie `stride` apart.
  func addRows(
    into out: inout [Float], at first: Int = 0, stride: Int, _ p: Span<Float>, _ vectors: Rows,
    _ w: Span<UInt8>, _ rows: Rows, _ element: ElementType
  ) {
    unsafe addRows(
      into: &out, at: first, stride: stride, p, vectors, raw: w.bytes, rows, element)
  }

  /// The same over f32 rows.
  func addRows(
    into out: inout [Float], at first: Int = 0, stride: Int, _ p: Span<Float>, _ vectors: Rows,
    _ w: Span<Float>, _ rows: Rows
  ) {
    unsafe addRows(
      into: &out, at: first, stride: stride, p, vectors, raw: w.bytes, rows, .f32)
  }

  private func addRows(
    into out: inout [Float], at first: Int = 0, stride: Int, _ p: Span<Float>, _ vectors: Rows,
    raw w: RawSpan, _ rows: Rows, _ element: ElementType
  ) {
    precondition(vectors.width == rows.count && stride >= rows.width)
    precondition(vectors.extent <= p.count && rows.extent * element.byteWidth <= w.byteCount)
    guard vectors.count > 0, rows.count > 0, rows.width > 0 else { return }
    precondition(first >= 0 && first + (vectors.count - 1) * stride + rows.width <= out.count)
    unsafe out.withUnsafeMutableBufferPointer { out in
      let out = unsafe UnsafeMutableBufferPointer(rebasing: out[first...])
      unsafe p.withUnsafeBufferPointer { p in
        unsafe w.withUnsafeBytes { w in
          unsafe leank_add_rows(
            level, out.baseAddress, stride, p.baseAddress, vectors.stride, vectors.count,
            w.baseAddress,
            rows.stride, rows.count, rows.width, element.code)
        }
      }
    }
  }

  /// `out[v * rows.count + r] = x[v] . w[r]` with the products added one after another in ascending
  /// order of channels.
  func orderedDots(
    into out: inout [Float], _ x: Span<Float>, _ vectors: Rows, _ w: Span<Float>, _ rows: Rows
  ) {
    precondition(vectors.width == rows.width)
    precondition(vectors.extent <= x.count && rows.extent <= w.count)
    precondition(vectors.count * rows.count <= out.count)
    guard vectors.count > 0, rows.count > 0 else { return }
    unsafe out.withUnsafeMutableBufferPointer { out in
      unsafe x.withUnsafeBufferPointer { x in
        unsafe w.withUnsafeBufferPointer { w in
          unsafe leank_ordered_dots(
            level, out.baseAddress, rows.count, x.baseAddress, vectors.stride, vectors.count,
            w.baseAddress, rows.stride, rows.count, rows.width)
        }
      }
    }
  }

  /// Tokens rearranged for `multiply`.
  struct PackedTokens: Sendable {
    let count: Int
    let width: Int
    let values: [Float]
  }

  /// Tokens that are packed at a time; those before and after can be packed apart.
  var packStep: Int { leank_pack_step(level) }

  /// Room for the packed form of `x`, filled by `fill`, which is given `pack` for parts of the rows.
  func packed(
    _ x: Matrix, _ fill: (_ pack: @Sendable (Range<Int>) -> Void) -> Void
  ) -> PackedTokens {
    let (level, columns) = (level, x.columns)
    let count = leank_packed_count(level, x.rows, columns)
    let values = unsafe [Float](unsafeUninitializedCapacity: count) { packed, initialized in
      let parts = unsafe DisjointElements(UnsafeMutableBufferPointer(rebasing: packed[..<count]))
      fill { rows in
        precondition(rows.lowerBound % leank_pack_step(level) == 0 && rows.upperBound <= x.rows)
        let first = rows.lowerBound * columns
        let part = unsafe parts.part(
          first..<first + leank_packed_count(level, rows.count, columns))
        unsafe x.values.withUnsafeBufferPointer { x in
          unsafe leank_pack(
            level, part.baseAddress, x.baseAddress.map { unsafe $0 + first }, columns, rows.count,
            columns)
        }
      }
      initialized = count
    }
    return PackedTokens(count: x.rows, width: columns, values: values)
  }

  /// `out[t * stride + r] = x[t] . w[r]` for every token and every row of `w`, which are as wide and
  /// stored as `element`.
  ///
  /// `out` has `stride * (tokens - 1) + rows` elements from `first` on, of which this writes the
  /// first ones of each stride and reads none.
  @unsafe func multiply(
    into out: UnsafeMutableBufferPointer<Float>, at first: Int, stride: Int, _ x: PackedTokens,
    _ w: Span<UInt8>, _ element: ElementType
  ) {
    guard x.width > 0, x.count > 0, w.count > 0 else { return }
    let rows = w.count / (x.width * element.byteWidth)
    precondition(rows * x.width * element.byteWidth == w.count && rows <= stride && first >= 0)
    precondition(first + (x.count - 1) * stride + rows <= out.count)
    unsafe withUnsafeTemporaryAllocation(
      of: Float.self, capacity: leank_multiply_room(level)
    ) { room in
      unsafe x.values.withUnsafeBufferPointer { packed in
        unsafe w.withUnsafeBufferPointer { w in
          unsafe leank_multiply(
            level, out.baseAddress.map { unsafe $0 + first }, stride, packed.baseAddress, x.count,
            w.baseAddress, x.width, rows, x.width, element.code, room.baseAddress)
        }
      }
    }
  }

  /// Replaces each x of `range` by `exp(x - shift)` and returns the sum; for x up to `shift`.
  func exponentials(_ x: inout [Float], _ range: Range<Int>, shift: Float) -> Float {
    unsafe x.withUnsafeMutableBufferPointer { x in
      let part = unsafe UnsafeMutableBufferPointer(rebasing: x[range])
      return unsafe leank_exp_sum(level, part.baseAddress, part.count, shift)
    }
  }

  /// Largest element of `range`, of which none is NaN; -infinity where it is empty.
  func largest(_ x: [Float], _ range: Range<Int>) -> Float {
    unsafe x.withUnsafeBufferPointer { x in
      let part = unsafe UnsafeBufferPointer(rebasing: x[range])
      return unsafe leank_largest(level, part.baseAddress, part.count)
    }
  }

  /// Replaces each element of `gate` by `gate * sigmoid(gate) * up`.
  func siluProduct(_ gate: inout MutableSpan<Float>, _ up: Span<Float>) {
    precondition(gate.count == up.count)
    unsafe gate.withUnsafeMutableBufferPointer { gate in
      unsafe up.withUnsafeBufferPointer { up in
        unsafe leank_silu_product(level, gate.baseAddress, up.baseAddress, gate.count)
      }
    }
  }
}
