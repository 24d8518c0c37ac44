import ByteIO

/// The keys of one object so far, for finding one that comes again.
///
/// A hash table of places in the text: a set of strings would take several times the memory, which a
/// file of a million keys turns against its reader.
struct JSONKeys {
  private struct Slot {
    /// Where the key begins, at its opening quote; 0, where no key can begin, in a free slot.
    var key: UInt32 = 0
    var hash: UInt32 = 0
  }

  /// As many as a power of two, a quarter of them free.
  private var slots: [Slot] = []
  private var count = 0

  /// Notes the key at `place` in `bytes`, which says `name`; false where a key of the same bytes has
  /// been noted. To `String`, other spellings would be equal as well, such as the Kelvin sign and K.
  mutating func insert(_ name: Span<UInt8>, at place: Int, in bytes: Span<UInt8>) -> Bool {
    if 4 * (count + 1) > 3 * slots.count { grow() }
    var hasher = Hasher()
    unsafe name.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    let new = Slot(key: UInt32(place), hash: UInt32(truncatingIfNeeded: hasher.finalize()))
    var index = Int(new.hash) & (slots.count - 1)
    while slots[index].key > 0 {
      if slots[index].hash == new.hash, isKey(at: Int(slots[index].key), name, in: bytes) {
        return false
      }
      index = (index + 1) & (slots.count - 1)
    }
    slots[index] = new
    count += 1
    return true
  }

  private func isKey(at place: Int, _ name: Span<UInt8>, in bytes: Span<UInt8>) -> Bool {
    var scanner = JSONStringScanner(offset: place)
    var key: [UInt8] = []
    guard (try? scanner.utf8(in: bytes, into: &key)) != nil, key.count == name.count else {
      return false
    }
    return key.indices.allSatisfy { key[$0] == name[$0] }
  }

  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: Slot(), count: max(8, 2 * old.count))
    for slot in old where slot.key > 0 {
      var index = Int(slot.hash) & (slots.count - 1)
      while slots[index].key > 0 { index = (index + 1) & (slots.count - 1) }
      slots[index] = slot
    }
  }
}
