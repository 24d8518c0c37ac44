import Foundation
import LeanKCheckpoint
import TestSupport
import Testing

@Suite struct FamilyTests {
  /// Each tensor of each reference checkpoint is named by the description in the shape that
  /// transformers gave it, and both spellings of config.json say the same.
  @Test(arguments: Reference.all)
  func describesEveryTensor(_ reference: Reference) throws {
    let folder = try TemporaryDirectory()
    var models: [DescribedModel] = []
    for dialect in Reference.Dialect.allCases {
      let path = try reference.checkout(dialect, in: folder, as: dialect.rawValue)
      let checkpoint = try CheckpointDirectory(path: path)
      let model = try checkpoint.describe()
      #expect(Set(model.shapes.keys) == checkpoint.tensorNames)
      models.append(model)
    }
    #expect(models[0] == models[1])
  }

  @Test func everyFamilyHasItsFixture() throws {
    let folder = try TemporaryDirectory()
    let types = try Set(
      Reference.all.map { reference in
        let path = try reference.checkout(in: folder, as: reference.name)
        return try CheckpointDirectory(path: path).configuration.modelType
      })
    #expect(types == Set(ModelFamily.all.flatMap(\.modelTypes)))
  }

  /// What differs between architectures stands in their files: nothing else looks at a `model_type`.
  @Test func onlyFamiliesKnowModelTypes() throws {
    let sources = Fixtures.root.deletingLastPathComponent().appending(path: "Sources")
    let files = try FileManager.default.subpathsOfDirectory(atPath: sources.path)
      .filter { $0.hasSuffix(".swift") && !$0.hasPrefix("LeanKCheckpoint/Families/") }
    #expect(files.count > 50)
    let literals = ModelFamily.all.flatMap(\.modelTypes).map { "\"\($0)\"" }
    let comparison =
      /(model_?[tT]ype\)?\s*(==|!=|\.has(Pre|Suf)fix|\.contains))|(switch\s+\S*model_?[tT]ype)/
    for file in files {
      let text = try String(contentsOf: sources.appending(path: file), encoding: .utf8)
      for literal in literals { #expect(!text.contains(literal), "\(literal) in \(file)") }
      let found = text.firstMatch(of: comparison).map { String($0.0) }
      #expect(found == nil, "\(file)")
    }
  }
}
