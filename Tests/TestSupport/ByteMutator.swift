/// Random damage to files: flipped, set, inserted, removed and repeated bytes, cuts, and numbers that
/// readers are wrong about.
public struct ByteMutator: Sendable {
  private var generator: SeededGenerator

  public init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  private mutating func below(_ bound: Int) -> Int { Int(generator.next() % UInt64(max(bound, 1))) }

  /// `bytes` after one to four changes.
  public mutating func mutant(of bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    for _ in 0..<1 + below(4) { change(&result) }
    return result
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else {
      bytes.append(UInt8(below(256)))
      return
    }
    let place = below(bytes.count)
    switch below(8) {
    case 0: bytes[place] ^= 1 << UInt8(below(8))
    case 1: bytes[place] = UInt8(below(256))
    case 2: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF, 0x2E, 0x28, 0x20][below(8)]
    case 3: bytes.insert(UInt8(below(256)), at: place)
    case 4: bytes.remove(at: place)
    case 5: bytes.removeSubrange(place..<min(bytes.count, place + 1 + below(16)))
    case 6:
      let piece = bytes[place..<min(bytes.count, place + 1 + below(32))]
      bytes.insert(contentsOf: piece, at: below(bytes.count))
    default: setNumber(&bytes, at: place)
    }
  }

  /// Writes an integer of 2, 4 or 8 bytes that is often the wrong one to compute with.
  private mutating func setNumber(_ bytes: inout [UInt8], at place: Int) {
    let width = [2, 4, 8][below(3)]
    let special: [UInt64] = [0, 1, .max, 1 << 63, 1 << 62, 1 << 31, 1 << 32, 0xFFFF, 0x7FFF]
    var number = special[below(special.count)]
    for index in place..<min(bytes.count, place + width) {
      bytes[index] = UInt8(truncatingIfNeeded: number)
      number >>= 8
    }
  }
}
