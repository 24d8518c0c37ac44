import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles
import TestSupport
import Testing

/// What becomes of the output directory, whatever happens.
@Suite struct OutputTests {
  private let folder: TemporaryDirectory
  private let dense: String
  private let mask: ChannelMask

  init() throws {
    folder = try TemporaryDirectory()
    dense = try Reference.sharded.checkout(in: folder)
    mask = try Reference.sharded.mask()
  }

  private func conversion(to output: String = "out", threads: Int = 1) throws -> Conversion {
    var conversion = try Conversion.make(dense, mask, .rows, to: folder.path(output))
    conversion.threads = threads
    return conversion
  }

  private func entries(_ name: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path(name)).sorted()
  }

  private func expectNothingWritten(sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try entries() == ["dense"], sourceLocation: sourceLocation)
  }

  @Test func shardsKeepTheirNamesAndGetAFreshIndex() throws {
    let result = try conversion().run()
    let pruned = try CheckpointDirectory(path: folder.path("out"))
    let source = try CheckpointDirectory(path: dense)
    #expect(pruned.shards.map(\.name) == source.shards.map(\.name))
    #expect(pruned.warnings == [])
    #expect(
      pruned.index?.totalSize
        == Double(pruned.shards.reduce(0) { $0 + $1.file.header.dataLength }))
    #expect(pruned.index?.weightMap == source.index?.weightMap)
    for shard in pruned.shards { #expect(shard.file.header.metadata["format"] == "pt") }
    #expect(result.leftOut == [])
    #expect(
      try entries("out") == [
        "config.json", "generation_config.json", "mask.leank", "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
      ])
    #expect(try Data(contentsOf: URL(filePath: folder.path("out/mask.leank"))) == Data("mask".utf8))
  }

  @Test func configurationGetsOneObject() throws {
    let conversion = try conversion()
    _ = try conversion.run()
    let text = try String(contentsOfFile: folder.path("out/config.json"), encoding: .utf8)
    let source = try String(contentsOfFile: dense + "/config.json", encoding: .utf8)
    let removed = text.replacing(/\n  "leank": \{[^}]*\},/, with: "")
    #expect(removed == source)
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    let leank = try #require(object?["leank"] as? [String: String])
    #expect(
      leank == [
        "spec_version": "1.0", "mask_file": "mask.leank", "mask_content_id": testContentID,
        "layout": "rows", "mode": "static", "source_digest": conversion.source.sourceDigest,
      ])
  }

  @Test func takesOtherFilesOverAndLeavesWeightsBehind() throws {
    for name in [
      "tokenizer.json", "modeling_x.py", "chat_template.jinja", "pytorch_model.bin",
      "consolidated.00.pth", "pytorch_model.bin.index.json", "adapter.safetensors", "old/x.json",
    ] {
      try folder.write(Array(name.utf8), to: "dense/" + name)
    }
    try FileManager.default.createSymbolicLink(
      atPath: dense + "/dangling", withDestinationPath: "nowhere")
    let result = try conversion().run()
    #expect(
      result.leftOut == [
        "adapter.safetensors", "consolidated.00.pth", "dangling", "old/", "pytorch_model.bin",
        "pytorch_model.bin.index.json",
      ])
    for name in ["tokenizer.json", "modeling_x.py", "chat_template.jinja"] {
      #expect(
        try String(contentsOfFile: folder.path("out/" + name), encoding: .utf8) == name)
    }
  }

  @Test(arguments: [1, 2, 3, 1024]) func sameInputsGiveTheSameBytes(threads: Int) throws {
    let one = try conversion(to: "one").run()
    #expect(try conversion(to: "two", threads: threads).run() == one)
    #expect(try entries("one") == entries("two"))
    for name in try entries("one") {
      #expect(
        FileManager.default.contentsEqual(
          atPath: folder.path("one/" + name), andPath: folder.path("two/" + name)), "\(name)")
    }
  }

  @Test func refusesAnExistingOutput() throws {
    try folder.write([1], to: "out/precious")
    #expect(throws: PruningError.self) { try conversion().run() }
    #expect(try entries("out") == ["precious"])
    var replacing = try conversion()
    replacing.isReplacing = true
    _ = try replacing.run()
    #expect(try entries() == ["dense", "out"])
    #expect(try !entries("out").contains("precious"))
  }

  @Test func refusesOutputsThatTouchTheInput() throws {
    let files = FileManager.default
    try files.createSymbolicLink(atPath: folder.path("link"), withDestinationPath: dense)
    for output in ["dense", "dense/inside", "link", "link/inside", ".", "dense/../dense", "a/.."] {
      for isReplacing in [false, true] {
        var conversion = try conversion(to: output)
        conversion.isReplacing = isReplacing
        let error = #expect(throws: PruningError.self) { try conversion.run() }
        #expect(
          error?.failureClass == .unsafeOutput || output == "a/..", "\(output): \(error as Any)")
      }
    }
    try files.removeItem(atPath: folder.path("link"))
    var around = try conversion()
    around.output = folder.path
    around.isReplacing = true
    let error = #expect(throws: PruningError.self) { try around.run() }
    #expect(error?.failureClass == .unsafeOutput)
    try expectNothingWritten()
  }

  @Test func noParentIsAnInputOutputError() throws {
    let error = #expect(throws: PruningError.self) {
      try conversion(to: "nowhere/out").run()
    }
    #expect(error?.failureClass == .inputOutput)
    try expectNothingWritten()
  }

  @Test func aFailedVerificationLeavesNothing() throws {
    var staging = ""
    let observer = Conversion.Observer(verify: { path throws(PruningError) in
      staging = path
      throw PruningError(.verification, "no")
    })
    #expect(throws: PruningError(.verification, "")) { try conversion().run(observer: observer) }
    #expect(staging.contains(".out.leank-partial-"))
    try expectNothingWritten()
  }

  @Test func verificationSeesTheWholeCheckpoint() throws {
    let source = try CheckpointDirectory(path: dense)
    var passed = false
    let observer = Conversion.Observer(verify: { path throws(PruningError) in
      guard let staged = try? CheckpointDirectory(path: path, acceptingIncomplete: true) else {
        return
      }
      passed =
        try StructureProof(
          dense: source, pruned: staged, mask: mask, maskContentID: testContentID
        ).passed
    })
    _ = try conversion().run(observer: observer)
    #expect(passed)
  }

  /// A checkpoint is compared for minutes: the comparison ends where its progress does.
  @Test func aComparisonCanBeStopped() throws {
    _ = try conversion().run()
    let source = try CheckpointDirectory(path: dense)
    let pruned = try CheckpointDirectory(path: folder.path("out"))
    var seen: [(Int, Int)] = []
    let proof = try StructureProof(
      dense: source, pruned: pruned, mask: mask, maskContentID: testContentID
    ) { (done, total) throws(PruningError) in seen.append((done, total)) }
    #expect(seen.last?.0 == proof.comparedBytes)
    #expect(seen.allSatisfy { $0.1 == proof.comparedBytes })
    for stop in seen.map(\.0) {
      #expect(throws: PruningError(.interrupted, "")) {
        try StructureProof(
          dense: source, pruned: pruned, mask: mask, maskContentID: testContentID
        ) { (done, _) throws(PruningError) in
          if done >= stop { throw PruningError(.interrupted, "") }
        }
      }
    }
  }

  /// Stopped after each piece of work in turn, a conversion leaves nothing, until it is through.
  @Test(arguments: [1, 3]) func stoppingAtAnyPointLeavesNothing(threads: Int) throws {
    for point in 0... {
      var calls = 0
      let observer = Conversion.Observer(shouldStop: {
        calls += 1
        return calls > point
      })
      do {
        _ = try conversion(threads: threads).run(observer: observer)
        #expect(point > 10)
        return
      } catch {
        #expect((error as? PruningError)?.code == .interrupted)
        try expectNothingWritten()
      }
    }
  }

  @Test(arguments: [1, 3]) func progressRisesToItsTotal(threads: Int) throws {
    var seen: [(Int, Int)] = []
    let result = try conversion(threads: threads).run(
      observer: Conversion.Observer(progress: { seen.append(($0, $1)) }))
    #expect(seen.last?.0 == result.bytes)
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.0 <= $1.0 })
    #expect(seen.allSatisfy { $0.1 == result.bytes })
  }

  @Test(arguments: ["model-00002-of-00003.safetensors", "config.json", "tokenizer.json"])
  func aChangedInputIsNoticed(_ name: String) throws {
    let path = dense + "/" + name
    let content = (try? Data(contentsOf: URL(filePath: path))) ?? Data("{}".utf8)
    try? FileManager.default.removeItem(atPath: path)
    try content.write(to: URL(filePath: path))
    var done = false
    let observer = Conversion.Observer(progress: { _, _ in
      guard !done else { return }
      done = true
      let handle = FileHandle(forWritingAtPath: path)
      _ = try? handle?.seekToEnd()
      try? handle?.write(contentsOf: Data("x".utf8))
      try? handle?.close()
    })
    let error = #expect(throws: PruningError.self) { try conversion().run(observer: observer) }
    #expect(error?.failureClass == .inputChanged)
    try expectNothingWritten()
  }

  @Test(arguments: [1, 3]) func aTruncatedInputIsNoticed(threads: Int) throws {
    let path = dense + "/model-00003-of-00003.safetensors"
    let content = try Data(contentsOf: URL(filePath: path))
    try FileManager.default.removeItem(atPath: path)
    try content.write(to: URL(filePath: path))
    let observer = Conversion.Observer(progress: { _, _ in
      try? FileHandle(forWritingAtPath: path)?.truncate(atOffset: 5000)
    })
    let error = #expect(throws: PruningError.self) {
      try conversion(threads: threads).run(observer: observer)
    }
    #expect(error?.failureClass == .inputChanged)
    try expectNothingWritten()
  }

  @Test func anotherRunMayBeFirst() throws {
    let first = try conversion()
    let observer = Conversion.Observer(verify: { _ throws(PruningError) in
      _ = try first.run()
    })
    let error = #expect(throws: PruningError.self) { try conversion().run(observer: observer) }
    #expect(error?.failureClass == .unsafeOutput)
    #expect(try entries() == ["dense", "out"])
    #expect(throws: Never.self) { try CheckpointDirectory(path: folder.path("out")) }
  }

  @Test func prunedSourcesAreRefused() throws {
    _ = try conversion().run()
    #expect(throws: PruningError(.alreadyPruned, "")) {
      try Conversion.make(folder.path("out"), mask, .rows, to: folder.path("again"))
    }
  }

  @Test func masksOfOtherGeometryAreRefused() throws {
    #expect(throws: PruningError(ModelError(.maskGeometry, ""))) {
      try Conversion.make(dense, try Reference.gqa.mask(), .rows, to: folder.path("out"))
    }
  }

  @Test func windowedIsForTheCacheLayoutOnly() throws {
    var windowed = try conversion()
    windowed.deployment = .windowed(.standard)
    #expect(throws: PruningError(.inconsistent, "")) { try windowed.run() }
    var cache = try Conversion.make(dense, mask, .cache, to: folder.path("out"))
    cache.deployment = .windowed(.standard)
    _ = try cache.run()
    #expect(
      try CheckpointDirectory(path: folder.path("out")).pruned?.deployment == .windowed(.standard))
  }

  /// A layer that keeps nothing keeps its tensors, with no rows.
  @Test func emptyLayersKeepTheirTensors() throws {
    let layers = try mask.layers.enumerated().map { index, layer in
      index > 0
        ? layer
        : try LayerMask(
          geometry: layer.geometry,
          heads: layer.heads.map { ChannelSet(width: $0.width) })
    }
    let empty = try ChannelMask(layers: layers)
    _ = try Conversion.make(dense, empty, .rows, to: folder.path("out")).run()
    let pruned = try CheckpointDirectory(path: folder.path("out"))
    #expect(pruned.tensor("model.layers.0.self_attn.k_proj.weight")?.info.shape == [0, 64])
    #expect(pruned.tensor("model.layers.0.self_attn.q_proj.bias")?.info.shape == [0])
    #expect(pruned.tensor("model.layers.0.self_attn.v_proj.weight")?.info.shape == [64, 64])
  }
}
