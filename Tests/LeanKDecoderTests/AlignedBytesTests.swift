import Testing

@testable import LeanKDecoder

extension AlignedBytes {
  init(_ bytes: [UInt8]) {
    self = unsafe AlignedBytes(count: bytes.count) { unsafe $0.copyBytes(from: bytes) }
  }

  var elements: [UInt8] { withSpan { span in span.indices.map { span[$0] } } }
}

@Suite struct AlignedBytesTests {
  @Test func roomIsAddedWithZeros() {
    var bytes = AlignedBytes([1, 2, 3])
    bytes.reserve(200)
    #expect(bytes.elements == [1, 2, 3] + [UInt8](repeating: 0, count: 197))
    bytes.reserve(10)
    #expect(bytes.count == 200, "room is never taken away")
  }

  /// Whoever writes writes into a copy of what others still read.
  @Test func copiesAreIndependent() {
    let first = AlignedBytes([1, 2, 3])
    var second = first
    unsafe second.withMutableBytes { unsafe $0?.storeBytes(of: 9, as: UInt8.self) }
    #expect(first.elements == [1, 2, 3])
    #expect(second.elements == [9, 2, 3])
  }

  @Test(arguments: [(0, 64), (1000, 64), (2 << 20, 2 << 20), (5 << 20, 2 << 20)])
  func largeOnesBeginAtAHugePage(count: Int, alignment: Int) {
    var bytes = AlignedBytes()
    bytes.reserve(count)
    let address = unsafe bytes.withBytes { Int(bitPattern: $0) }
    #expect(address.isMultiple(of: alignment))
  }

  @Test func aFailureToFillIsThrown() {
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try unsafe AlignedBytes(count: 8) { _ throws(Failure) in throw Failure() }
    }
  }
}
