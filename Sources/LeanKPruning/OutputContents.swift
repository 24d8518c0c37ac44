import ByteIO
import LeanKCheckpoint
import LeanKModel

/// The files of a source beside its weights: which of them an output takes over.
struct CarriedFiles {
  /// Taken over as they are, in byte order of names.
  let files: [(name: String, file: PositionalFile)]
  /// Entries that are not taken over, in byte order; folders end in a slash.
  let leftOut: [String]

  /// Files of a source whose content goes into files made anew.
  static let rewritten: Set<UTF8Name> = [
    UTF8Name(ModelConfiguration.fileName), UTF8Name(ShardIndex.fileName),
  ]

  /// Opens every regular file of `source` that is taken over. One in the place of a file in
  /// `generated`, which `convert` makes, is not.
  init(of source: CheckpointDirectory, beside generated: [String]) throws(PruningError) {
    let shards = Set(source.shards.map { UTF8Name($0.name) })
    // Some file systems do not tell upper from lower case.
    let replaced = Set(generated.map { UTF8Name($0.lowercased()) })
    var files: [(String, PositionalFile)] = []
    var leftOut: [String] = []
    for name in try lifting(try source.directory.names())
    where !shards.contains(UTF8Name(name)) && !Self.rewritten.contains(UTF8Name(name)) {
      // A link that leads nowhere has no kind.
      let kind = try lifting(try source.directory.kind(of: name))
      guard kind == .regular, DirectoryHandle.isPlainName(name),
        !replaced.contains(UTF8Name(name.lowercased())), !ForeignFile.staysBehind(name)
      else {
        leftOut.append(kind == .directory ? name + "/" : name)
        continue
      }
      files.append((name, try lifting(try PositionalFile(name: name, in: source.directory))))
    }
    self.files = files
    self.leftOut = leftOut
  }

  func checkUnchanged() throws(PruningError) {
    for (_, file) in files { try lifting(try file.checkUnchanged()) }
  }
}

/// All that an output holds beside its weights.
struct OutputContents {
  let carried: CarriedFiles
  /// Files made anew, in the order of their writing: config.json is the last.
  let generated: [(name: String, bytes: [UInt8])]

  var bytes: Int {
    generated.reduce(0) { $0 + $1.bytes.count } + carried.files.reduce(0) { $0 + $1.file.size }
  }

  init(of conversion: Conversion) throws(PruningError) {
    let source = conversion.source
    let plan = conversion.plan
    var generated = [(PrunedConfiguration.maskFileName, conversion.mask)]
    if let loader = conversion.loader { generated.append((LoaderFile.fileName, loader)) }
    if let card = conversion.card { generated.append((Conversion.cardFileName, card)) }
    carried = try CarriedFiles(of: source, beside: generated.map(\.0))
    if let index = plan.index { generated.append((ShardIndex.fileName, index)) }
    let configuration = source.configuration.inserting(
      conversion.configuration.json.utf8, withLoader: conversion.loader != nil)
    generated.append((ModelConfiguration.fileName, configuration))
    self.generated = generated
  }
}
