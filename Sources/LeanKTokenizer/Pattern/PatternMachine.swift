import ByteIO

/// Runs a `PatternProgram` over UTF-8, with the way it came by on a stack of its own.
///
/// The stack grows with alternatives, not with the text: a run of spaces takes one entry, however
/// long it is.
struct PatternMachine {
  /// Steps that remain before the text is refused.
  var budget: Int
  /// Most entries of the stack.
  static let stackLimit = 1 << 21

  private struct Frame {
    var instruction: Int
    var position: Int
    /// The nearest place to which a run may still give scalars back, -1 for an alternative.
    var lowest: Int
  }

  private var stack: [Frame] = []

  init(budget: Int) { self.budget = budget }

  /// Steps for a text: what ordinary patterns take, many times over, and no more than about a second.
  static func budget(bytes: Int) -> Int { 32 * bytes + 10_000_000 }

  /// The end of the match that begins at `start`, nil where none does. `range` is all that the
  /// pattern sees.
  mutating func match(
    _ program: borrowing PatternProgram, in bytes: Span<UInt8>, range: Range<Int>, at start: Int
  ) throws(TokenizerError) -> Int? {
    stack.removeAll(keepingCapacity: true)
    return try run(program, in: bytes, range, from: 0, at: start)
  }

  private mutating func run(
    _ program: borrowing PatternProgram, in bytes: Span<UInt8>, _ range: Range<Int>,
    from entry: Int, at start: Int
  ) throws(TokenizerError) -> Int? {
    let base = stack.count
    var pc = entry
    var position = start
    while true {
      var holds = true
      switch program.instructions[pc] {
      case .scalar(let index):
        if let next = Self.step(program.classes[index], in: bytes, range, at: position) {
          position = next
        } else {
          holds = false
        }
        pc += 1
      case .run(let index, let least, let most, let possessive):
        let run = Self.run(program.classes[index], in: bytes, range, at: position, least, most)
        budget -= run.end - position
        pc += 1
        guard let lowest = run.lowest else {
          holds = false
          break
        }
        position = run.end
        if !possessive, lowest < position {
          try push(Frame(instruction: pc, position: position, lowest: lowest))
        }
      case .split(let first, let second, let gate):
        if gate >= 0,
          position == range.upperBound || !program.gates[gate].admits(bytes[position])
        {
          pc = second
        } else {
          try push(Frame(instruction: second, position: position, lowest: -1))
          pc = first
        }
      case .jump(let target): pc = target
      case .look(let end, let back, let negative):
        var found = false
        if let from = Self.back(back, in: bytes, range, from: position) {
          found = try run(program, in: bytes, range, from: pc + 1, at: from) != nil
        }
        holds = found != negative
        pc = end
      case .atomic(let end):
        if let inner = try run(program, in: bytes, range, from: pc + 1, at: position) {
          position = inner
        } else {
          holds = false
        }
        pc = end
      case .lineStart:
        // not behind the line end that ends the text
        holds =
          position == range.lowerBound
          || (bytes[position - 1] == 0x0A && position < range.upperBound)
        pc += 1
      case .lineEnd:
        holds = position == range.upperBound || bytes[position] == 0x0A
        pc += 1
      case .textStart:
        holds = position == range.lowerBound
        pc += 1
      case .textEnd:
        holds = position == range.upperBound
        pc += 1
      case .wordBoundary(let negative):
        let before = Self.back(1, in: bytes, range, from: position).map {
          ScalarClass.word.contains(Self.scalar(in: bytes, at: $0).value)
        }
        let after =
          position < range.upperBound
          && ScalarClass.word.contains(Self.scalar(in: bytes, at: position).value)
        holds = ((before ?? false) != after) != negative
        pc += 1
      case .accept:
        stack.removeSubrange(base...)
        return position
      }
      budget -= 1
      guard budget > 0 else {
        throw TokenizerError(.patternSteps, "the text takes more steps to split than leank takes")
      }
      if holds { continue }
      guard stack.count > base, var frame = stack.popLast() else { return nil }
      pc = frame.instruction
      if frame.lowest >= 0 {
        repeat { frame.position -= 1 } while bytes[frame.position] & 0xC0 == 0x80
        if frame.position > frame.lowest { stack.append(frame) }
      }
      position = frame.position
    }
  }

  private mutating func push(_ frame: Frame) throws(TokenizerError) {
    guard stack.count < Self.stackLimit else {
      throw TokenizerError(.patternSteps, "the text takes more memory to split than leank takes")
    }
    stack.append(frame)
  }

  /// The place behind the scalar at `position` if it is of the class.
  @inline(__always)
  private static func step(
    _ scalars: borrowing PatternProgram.Class, in bytes: Span<UInt8>, _ range: Range<Int>,
    at position: Int
  ) -> Int? {
    guard position < range.upperBound else { return nil }
    let byte = bytes[position]
    if byte < 0x80 { return scalars.ascii.admits(byte) ? position + 1 : nil }
    let (value, length) = scalar(in: bytes, at: position)
    return scalars.scalars.contains(value) ? position + length : nil
  }

  /// Where a run of at most `most` scalars ends, and where it ends after the first `least`; nil
  /// where there are fewer.
  @inline(__always)
  private static func run(
    _ scalars: borrowing PatternProgram.Class, in bytes: Span<UInt8>, _ range: Range<Int>,
    at start: Int, _ least: Int, _ most: Int
  ) -> (lowest: Int?, end: Int) {
    var position = start
    var count = 0
    var lowest: Int? = least == 0 ? start : nil
    while count < most, let next = step(scalars, in: bytes, range, at: position) {
      position = next
      count += 1
      if count == least { lowest = position }
    }
    return (lowest, position)
  }

  /// The place `count` scalars before `position`, nil where the text begins in between.
  private static func back(
    _ count: Int, in bytes: Span<UInt8>, _ range: Range<Int>, from position: Int
  ) -> Int? {
    var position = position
    for _ in 0..<count {
      guard position > range.lowerBound else { return nil }
      repeat { position -= 1 } while bytes[position] & 0xC0 == 0x80
    }
    return position
  }

  /// The scalar at `position` of valid UTF-8, and its bytes.
  @inline(__always)
  static func scalar(in bytes: Span<UInt8>, at position: Int) -> (value: UInt32, length: Int) {
    let first = UInt32(bytes[position])
    func more(_ offset: Int) -> UInt32 { UInt32(bytes[position + offset]) & 0x3F }
    if first < 0x80 { return (first, 1) }
    if first < 0xE0 { return ((first & 0x1F) << 6 | more(1), 2) }
    if first < 0xF0 { return ((first & 0x0F) << 12 | more(1) << 6 | more(2), 3) }
    return ((first & 0x07) << 18 | more(1) << 12 | more(2) << 6 | more(3), 4)
  }
}
