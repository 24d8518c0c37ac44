import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import TestSupport
import Testing

@Suite struct PartialConversionTests {
  private let folder: TemporaryDirectory
  private let dense: String
  private let mask: ChannelMask
  private let parts: String

  init() throws {
    folder = try TemporaryDirectory()
    dense = try Reference.sharded.checkout(in: folder)
    mask = try Reference.sharded.mask()
    parts = folder.path(".out.leank-parts")
  }

  private func conversion(
    to output: String = "out", _ layout: PruningLayout = .rows
  ) throws -> Conversion {
    var conversion = try Conversion.make(dense, mask, layout, to: folder.path(output))
    conversion.card = Array("card".utf8)
    return conversion
  }

  private func part(_ number: Int, of count: Int) throws -> ShardPart {
    try #require(ShardPart(number: number, of: count))
  }

  private func expectSameDirectories(_ one: String, _ other: String) throws {
    let files = FileManager.default
    let names = try files.contentsOfDirectory(atPath: folder.path(one)).sorted()
    #expect(try files.contentsOfDirectory(atPath: folder.path(other)).sorted() == names)
    for name in names {
      #expect(
        files.contentsEqual(
          atPath: folder.path(one + "/" + name), andPath: folder.path(other + "/" + name)),
        "\(name)")
    }
  }

  @Test(arguments: [1, 2, 3, 4, 10_000])
  func everyShardBelongsToOnePart(_ count: Int) throws {
    let plan = try conversion().plan
    let chosen = try (1...min(count, 8)).map { plan.shards(of: try part($0, of: count)) }
    #expect(chosen.flatMap { $0 }.sorted() == [0, 1, 2])
    if count == 2 {
      // The largest alone: 93,700 against 85,568 and 86,068 bytes.
      #expect(chosen == [[2], [0, 1]])
    }
  }

  @Test(arguments: [
    ("1/1", 1, 1), ("3/8", 3, 8), ("0/3", 0, 0), ("4/3", 0, 0), ("1/10001", 0, 0), ("-1/3", 0, 0),
    ("1", 0, 0), ("1/2/3", 0, 0), ("/2", 0, 0), ("a/b", 0, 0), ("", 0, 0),
  ])
  func parsesParts(_ text: String, _ number: Int, _ count: Int) {
    #expect(ShardPart(text) == ShardPart(number: number, of: count))
  }

  @Test(arguments: PruningLayout.allCases, [1, 2, 5])
  func partsMakeWhatOneRunMakes(_ layout: PruningLayout, _ count: Int) throws {
    let whole = try conversion(to: "whole", layout).run()
    var written: [String] = []
    for number in (1...count).reversed() {
      let result = try conversion(layout).run(part: try part(number, of: count))
      #expect(result.reused == [])
      written += result.written.map(\.name)
    }
    #expect(written.sorted() == whole.files.map(\.name).filter { $0.hasSuffix("safetensors") })
    #expect(try conversion(layout).commit().files == whole.files)
    try expectSameDirectories("whole", "out")
    #expect(!FileManager.default.fileExists(atPath: parts))
  }

  @Test func finishedFilesAreKeptAndDamagedOnesMadeAgain() throws {
    _ = try conversion().run(part: try part(1, of: 1))
    let first = "model-00001-of-00003.safetensors"
    let second = "model-00002-of-00003.safetensors"
    try FileHandle(forWritingTo: URL(filePath: parts + "/" + first)).truncate(atOffset: 100)
    try FileManager.default.removeItem(atPath: parts + "/" + second + ".json")
    let error = #expect(throws: PruningError(.partMissing, "")) { try conversion().commit() }
    #expect(error?.detail.contains("2 of 3 files") == true)
    #expect(error?.detail.contains(first) == true)
    // Cut in another way, it is the same work.
    let result = try conversion().run(part: try part(2, of: 2))
    #expect(result.written.map(\.name) == [first, second])
    #expect(try conversion().run(part: try part(1, of: 2)).written == [])
    _ = try conversion().commit()
    _ = try conversion(to: "whole").run()
    try expectSameDirectories("whole", "out")
  }

  @Test func aSourceChangedBetweenPartsIsNoticed() throws {
    _ = try conversion().run(part: try part(1, of: 1))
    let name = "model-00003-of-00003.safetensors"
    let content = try Data(contentsOf: URL(filePath: dense + "/" + name))
    try FileManager.default.removeItem(atPath: dense + "/" + name)
    var changed = content
    changed[changed.count - 1] ^= 1
    try changed.write(to: URL(filePath: dense + "/" + name))
    let error = #expect(throws: PruningError(.partMissing, "")) { try conversion().commit() }
    #expect(error?.detail.contains(name) == true)
    #expect(try conversion().run(part: try part(1, of: 1)).written.map(\.name) == [name])
    _ = try conversion().commit()
    _ = try conversion(to: "whole").run()
    try expectSameDirectories("whole", "out")
  }

  @Test func otherPlansAreRefused() throws {
    _ = try conversion().run(part: try part(1, of: 3))
    var otherMask = try conversion()
    otherMask.maskContentID = testDigest
    var otherBytes = try conversion()
    otherBytes.mask = [1]
    var otherVersion = try conversion()
    otherVersion.card = nil
    for other in [try conversion(.zeroed), otherMask, otherBytes, otherVersion] {
      let error = #expect(throws: PruningError(.otherPlan, "")) {
        try other.run(part: try part(2, of: 3))
      }
      #expect(error?.failureClass == .unsafeOutput)
      #expect(throws: PruningError(.otherPlan, "")) { try other.commit() }
    }
    #expect(try conversion().run(part: try part(1, of: 3)).reused.count == 1)
  }

  @Test func aCommitNeedsAllParts() throws {
    #expect(throws: PruningError(.partMissing, "")) { try conversion().commit() }
    for number in [1, 3] { _ = try conversion().run(part: try part(number, of: 3)) }
    #expect(throws: PruningError(.partMissing, "")) { try conversion().commit() }
    #expect(!FileManager.default.fileExists(atPath: folder.path("out")))
    #expect(throws: CheckpointError(.incomplete, "")) { try CheckpointDirectory(path: parts) }
  }

  @Test func aFailedCommitKeepsTheParts() throws {
    _ = try conversion().run(part: try part(1, of: 1))
    let observer = Conversion.Observer(verify: { _ throws(PruningError) in
      throw PruningError(.verification, "no")
    })
    #expect(throws: PruningError(.verification, "")) {
      try conversion().commit(observer: observer)
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
        ".out.leank-parts", "dense",
      ])
    _ = try conversion().commit()
    _ = try conversion(to: "whole").run()
    try expectSameDirectories("whole", "out")
  }

  /// Stopped at each point, a part leaves nothing unfinished under a final name.
  @Test func stoppedPartsAreFinishedByTheNextRun() throws {
    _ = try conversion(to: "whole").run()
    for point in 0... {
      var calls = 0
      let observer = Conversion.Observer(shouldStop: {
        calls += 1
        return calls > point
      })
      do {
        _ = try conversion().run(part: try part(1, of: 1), observer: observer)
        #expect(point > 5)
        return
      } catch {
        #expect((error as? PruningError)?.code == .interrupted)
      }
      _ = try conversion().run(part: try part(1, of: 1))
      _ = try conversion().commit()
      try expectSameDirectories("whole", "out")
      try FileManager.default.removeItem(atPath: folder.path("out"))
    }
  }

  @Test func outputsThatExistAreRefused() throws {
    try folder.write([1], to: "out/precious")
    let error = #expect(throws: PruningError.self) {
      try conversion().run(part: try part(1, of: 1))
    }
    #expect(error?.failureClass == .unsafeOutput)
    var replacing = try conversion()
    replacing.isReplacing = true
    _ = try replacing.run(part: try part(1, of: 1))
    _ = try replacing.commit()
    _ = try conversion(to: "whole").run()
    try expectSameDirectories("whole", "out")
  }
}
