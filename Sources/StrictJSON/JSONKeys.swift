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

  /// Notes the key `name`, which stands at `place` in `bytes`; false where an equal one has been noted.
  mutating func insert(_ name: String, at place: Int, in bytes: Span<UInt8>) -> Bool {
    if 4 * (count + 1) > 3 * slots.count { grow() }
    let new = Slot(key: UInt32(place), hash: UInt32(truncatingIfNeeded: name.hashValue))
    let index = freeSlot(for: new) { slot in
      var scanner = JSONStringScanner(offset: Int(slot.key))
      return (try? scanner.string(in: bytes)) == name
    }
    guard let index else { return false }
    slots[index] = new
    count += 1
    return true
  }

  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: Slot(), count: max(8, 2 * old.count))
    for slot in old where slot.key > 0 {
      if let index = freeSlot(for: slot, unless: { _ in false }) { slots[index] = slot }
    }
  }

  /// The first free slot from the one that the hash points at; nil if a slot of the same hash on the
  /// way holds the same key.
  private func freeSlot(for new: Slot, unless isSame: (Slot) -> Bool) -> Int? {
    var index = Int(new.hash) & (slots.count - 1)
    while slots[index].key > 0 {
      if slots[index].hash == new.hash, isSame(slots[index]) { return nil }
      index = (index + 1) & (slots.count - 1)
    }
    return index
  }
}
