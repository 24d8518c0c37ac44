import FuzzSupport
import LeanKCheckpoint

@_cdecl("index_json_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// No shard name of an accepted index leaves its folder.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  guard let index = try? ShardIndex(bytes, path: "index") else { return 0 }
  for name in index.shardNames {
    precondition(!name.contains("/") && !name.contains("\\") && name != ".." && !name.isEmpty)
  }
  return 0
}
