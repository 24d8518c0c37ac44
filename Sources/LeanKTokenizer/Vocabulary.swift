/// The tokens of a model and their ids, in flat memory: the text of all tokens back to back, and a
/// hash table of ids.
///
/// Tokens are the same where their bytes are. `String` would take some for equal that are not, and
/// several times the memory.
struct Vocabulary: Sendable {
  /// Most tokens, most bytes of all together, and the largest id.
  static let countLimit = 1 << 20
  static let byteLimit = 1 << 24
  static let idLimit = 1 << 21
  /// Longest token in a file, in bytes as they are written there.
  static let writtenLimit = 1 << 16

  private struct Place: Sendable {
    var start: UInt32 = 0
    /// `.max` where no token has the id.
    var count: UInt32 = .max
  }

  private struct Slot: Sendable {
    /// The id and 1, 0 in a free slot.
    var id: UInt32 = 0
    var hash: UInt32 = 0
  }

  private(set) var count = 0
  private var text: [UInt8] = []
  private var places: [Place] = []
  /// As many as a power of two, a quarter of them free.
  private var slots: [Slot]

  /// Room for `count` tokens.
  init(capacity count: Int) {
    var size = 8
    while 3 * size < 4 * (count + 1) { size *= 2 }
    slots = [Slot](repeating: Slot(), count: size)
    places.reserveCapacity(count)
  }

  /// The ids are below this.
  var idBound: Int { places.count }

  enum Refusal { case id, count, bytes, duplicate }

  /// Adds the token, which is not there yet, or says why it cannot be added.
  mutating func insert(_ token: Span<UInt8>, id: Int) -> Refusal? {
    guard (0..<Self.idLimit).contains(id) else { return .id }
    guard 4 * (count + 1) <= 3 * slots.count else { return .count }
    guard text.count + token.count <= Self.byteLimit else { return .bytes }
    if id >= places.count {
      places += [Place](repeating: Place(), count: id + 1 - places.count)
    }
    guard places[id].count == .max else { return .duplicate }
    places[id] = Place(start: UInt32(text.count), count: UInt32(token.count))
    for index in 0..<token.count { text.append(token[index]) }
    let hash = UInt32(truncatingIfNeeded: byteHash(token))
    var index = Int(hash) & (slots.count - 1)
    while slots[index].id > 0 { index = (index + 1) & (slots.count - 1) }
    slots[index] = Slot(id: UInt32(id) + 1, hash: hash)
    count += 1
    return nil
  }

  /// The id of a token, nil where there is none.
  func id(of token: Span<UInt8>) -> Int? {
    let hash = UInt32(truncatingIfNeeded: byteHash(token))
    var index = Int(hash) & (slots.count - 1)
    while slots[index].id > 0 {
      let slot = slots[index]
      if slot.hash == hash, isToken(Int(slot.id) - 1, token) { return Int(slot.id) - 1 }
      index = (index + 1) & (slots.count - 1)
    }
    return nil
  }

  private func isToken(_ id: Int, _ token: Span<UInt8>) -> Bool {
    let place = places[id]
    guard Int(place.count) == token.count else { return false }
    let start = Int(place.start)
    for offset in 0..<token.count where text[start + offset] != token[offset] { return false }
    return true
  }

  /// The bytes of the token of this id, nil where none has it.
  func token(_ id: Int) -> ArraySlice<UInt8>? {
    guard places.indices.contains(id), places[id].count < .max else { return nil }
    let start = Int(places[id].start)
    return text[start..<start + Int(places[id].count)]
  }
}

/// A hash that no one outside the process can foresee.
func byteHash(_ bytes: Span<UInt8>) -> Int {
  var hasher = Hasher()
  unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
  return hasher.finalize()
}
