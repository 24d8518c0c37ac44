import LeanKCheckpoint

/// No shard name of an accepted index leaves its folder.
func indexJson(_ bytes: [UInt8]) {
  guard let index = try? ShardIndex(bytes, path: "index") else { return }
  for name in index.shardNames {
    precondition(!name.contains("/") && !name.contains("\\") && name != ".." && !name.isEmpty)
  }
}
