/// Elements that pieces of parallel work share out among themselves: each piece takes ranges that no
/// other piece touches.
@safe struct DisjointElements<Element>: @unchecked Sendable {
  private let buffer: UnsafeMutableBufferPointer<Element>

  @unsafe init(_ buffer: UnsafeMutableBufferPointer<Element>) { unsafe self.buffer = buffer }

  var count: Int { unsafe buffer.count }

  /// The elements of `range`, which are this caller's alone.
  @unsafe func part(_ range: Range<Int>) -> UnsafeMutableBufferPointer<Element> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return unsafe UnsafeMutableBufferPointer(rebasing: buffer[range])
  }

  /// Lends the elements of `range`, which are this caller's alone, to `body`.
  func withElements<Result>(
    _ range: Range<Int>, _ body: (inout MutableSpan<Element>) -> Result
  ) -> Result {
    var span = unsafe MutableSpan(_unsafeElements: part(range))
    return body(&span)
  }

  /// Lends the element at `index`, which is this caller's alone, to `body`.
  func withElement<Result>(_ index: Int, _ body: (inout Element) -> Result) -> Result {
    unsafe body(&buffer[index])
  }
}

extension Array where Element: Sendable {
  /// Lends the elements to parallel work that shares them out.
  mutating func withDisjointElements<Result>(
    _ body: (DisjointElements<Element>) -> Result
  ) -> Result {
    unsafe withUnsafeMutableBufferPointer { unsafe body(DisjointElements($0)) }
  }
}
