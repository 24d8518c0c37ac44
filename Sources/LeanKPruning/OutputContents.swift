import ByteIO
import LeanKCheckpoint
import LeanKModel

/// All that an output holds beside its weights.
struct OutputContents {
  /// Files of the source that are taken over as they are.
  let others: [(name: String, file: PositionalFile)]
  /// Files made anew, in the order of their writing: config.json is the last.
  let generated: [(name: String, bytes: [UInt8])]
  /// Entries of the source that are not taken over, in byte order; folders end in a slash.
  let leftOut: [String]

  var bytes: Int {
    generated.reduce(0) { $0 + $1.bytes.count } + others.reduce(0) { $0 + $1.file.size }
  }

  /// Opens every other regular file of the source.
  init(of conversion: Conversion) throws(PruningError) {
    let source = conversion.source
    let plan = conversion.plan
    var generated = [(PrunedConfiguration.maskFileName, conversion.mask)]
    if let card = conversion.card { generated.append((Conversion.cardFileName, card)) }
    if let index = source.index {
      let bytes = index.rewritten(totalSize: plan.tensorBytes, totalParameters: plan.elements)
      generated.append((ShardIndex.fileName, bytes))
    }
    let object = Array(conversion.configuration.json.utf8)
    generated.append((ModelConfiguration.fileName, source.configuration.inserting(object)))
    self.generated = generated

    let shards = Set(source.shards.map(\.name))
    // Of the source's files these two live on in new ones; one in place of ours is left out.
    let rewritten = [ModelConfiguration.fileName, ShardIndex.fileName]
    let replaced = Set(generated.map { $0.0.lowercased() }).subtracting(rewritten)
    var others: [(String, PositionalFile)] = []
    var leftOut: [String] = []
    for name in try lifting(try source.directory.names())
    where !shards.contains(name) && !rewritten.contains(name) {
      // A link that leads nowhere has no kind.
      let kind = try lifting(try source.directory.kind(of: name))
      guard kind == .regular, DirectoryHandle.isPlainName(name),
        !replaced.contains(name.lowercased()), !ForeignFile.isWeights(name),
        !ForeignFile.isIndex(name)
      else {
        leftOut.append(kind == .directory ? name + "/" : name)
        continue
      }
      others.append((name, try lifting(try PositionalFile(name: name, in: source.directory))))
    }
    self.others = others
    self.leftOut = leftOut
  }

  func checkUnchanged() throws(PruningError) {
    for (_, file) in others { try lifting(try file.checkUnchanged()) }
  }
}
