import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles
import TestSupport
import Testing

@Suite struct ConversionTests {
  /// What is written is, tensor by tensor, what numpy makes of the dense checkpoint.
  @Test(arguments: Reference.plain, PruningLayout.allCases)
  func writesWhatNumpyWrites(_ reference: Reference, _ layout: PruningLayout) throws {
    let folder = try TemporaryDirectory()
    let dense = try CheckpointDirectory(path: try reference.checkout(in: folder))
    let expected = layout == .cache ? [:] : try #require(try reference.expected(layout))
    let conversion = try Conversion.make(
      dense.path, try reference.mask(), layout, to: folder.path("out"))
    let result = try conversion.run()

    let pruned = try CheckpointDirectory(path: folder.path("out"))
    #expect(pruned.tensorNames == dense.tensorNames)
    for name in dense.tensorNames {
      let (file, info) = try #require(pruned.tensor(name))
      let (sourceFile, source) = try #require(dense.tensor(name))
      let bytes = try file.array(info).bytes
      #expect(info.scalar == source.scalar)
      if let expected = expected[name] {
        #expect(info.shape == expected.shape)
        #expect(checksum(bytes) == expected.checksum, "\(name)")
      } else {
        #expect(info.shape == source.shape)
        #expect(try bytes == sourceFile.array(source).bytes, "\(name)")
      }
    }
    #expect(pruned.pruned == conversion.configuration)
    for file in result.files {
      let size = try FileManager.default.attributesOfItem(atPath: folder.path("out/" + file.name))
      #expect(size[.size] as? Int == file.bytes)
    }
    let entries = try FileManager.default.contentsOfDirectory(atPath: folder.path("out"))
    #expect(Set(entries) == Set(result.files.map(\.name)))
    #expect(result.bytes >= conversion.plan.bytesOut)

    let proof = try StructureProof(
      dense: dense, pruned: pruned, mask: try reference.mask(), maskContentID: testContentID)
    #expect(proof.failures == [])
    #expect(proof.comparedBytes == conversion.plan.shards.reduce(0) { $0 + $1.header.dataLength })
  }

  @Test(arguments: Reference.normed)
  func refusesRowsOfNormedHeads(_ reference: Reference) throws {
    let folder = try TemporaryDirectory()
    let path = try reference.checkout(in: folder)
    for layout in [PruningLayout.rows, .zeroed] {
      #expect(throws: PruningError(.queryKeyNorm, "")) {
        try Conversion.make(path, try reference.mask(), layout, to: folder.path("out"))
      }
    }
    _ = try Conversion.make(path, try reference.mask(), .cache, to: folder.path("out")).run()
    let proof = try StructureProof(
      dense: try CheckpointDirectory(path: path),
      pruned: try CheckpointDirectory(path: folder.path("out")), mask: try reference.mask(),
      maskContentID: testContentID)
    #expect(proof.passed)
  }
}
