import LeanKCheckpoint

/// One of the parts into which a conversion is cut for many tasks: part `number` of `count`.
public struct ShardPart: Sendable, Hashable {
  /// From 1 to `count`.
  public let number: Int
  public let count: Int

  /// As many as there may be shards.
  public static let countLimit = ShardIndex.shardLimit

  /// nil unless `number` is from 1 to `count` and `count` at most the limit.
  public init?(number: Int, of count: Int) {
    guard (1...Self.countLimit).contains(count), (1...count).contains(number) else { return nil }
    self.number = number
    self.count = count
  }

  /// Parses `K/N`.
  public init?(_ text: String) {
    let fields = text.split(separator: "/", omittingEmptySubsequences: false)
    guard fields.count == 2, let number = Int(fields[0]), let count = Int(fields[1]) else {
      return nil
    }
    self.init(number: number, of: count)
  }
}

extension PruningPlan {
  /// Places in `shards` of those that `part` converts, ascending. Each shard belongs to one part,
  /// and the parts' bytes are as even as giving the largest shard to the smallest part makes them.
  public func shards(of part: ShardPart) -> [Int] {
    let order = shards.indices.sorted {
      (shards[$1].bytesOut, $0) < (shards[$0].bytesOut, $1)
    }
    var loads = [Int](repeating: 0, count: part.count)
    var chosen: [Int] = []
    for shard in order {
      var least = 0
      for candidate in loads.indices where loads[candidate] < loads[least] { least = candidate }
      // Files without tensors count as well, so that they do not all go to one part.
      loads[least] += max(1, shards[shard].bytesOut)
      if least == part.number - 1 { chosen.append(shard) }
    }
    return chosen.sorted()
  }
}
