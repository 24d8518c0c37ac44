import Foundation
import LeanKCommands
import TestSupport
import Testing

/// The built command where the system fails it: streams that take nothing, files that may not grow,
/// another run at the same time. `Tests/CrashSafety` goes through many more such places.
@Suite("Hostile system") struct HostileSystemTests {
  private let folder: TemporaryDirectory
  private let files = FileManager.default
  private let reference: [String: Data]

  init() throws {
    folder = try TemporaryDirectory()
    let dense = try copyModel("llama_gqa", to: folder)
    let mask = folder.path("mask.npy")
    try files.copyItem(atPath: Fixtures.path("Reference/llama_gqa/mask.npy"), toPath: mask)
    try leank(
      expecting: 0,
      ["convert", "--model", dense, "--mask", mask, "--output", folder.path("pruned"), "--quiet"])
    reference = try Self.contents(folder.path("pruned"))
  }

  private static func contents(_ path: String) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      found[name] = try Data(contentsOf: URL(filePath: path + "/" + name))
    }
    return found
  }

  /// Runs a line of shell in the folder.
  private func run(_ line: String) throws -> (code: CInt, diagnostics: String) {
    try shell("cd '\(folder.path)' || exit 99\n" + line)
  }

  private static let convert = "leank convert --model dense --mask mask.npy --output out"
  private static let printing = [
    "leank --help", "leank --version", "leank help convert",
    "leank --generate-completion-script bash", convert, convert + " --json",
    convert + " --dry-run", convert + " --shard 1/1", "leank verify dense pruned",
    "leank verify dense pruned --json", "leank inspect mask.npy", "leank inspect dense",
    "leank inspect pruned/mask.leank --json", "leank diff mask.npy mask.npy",
    "leank import mask.npy --output out.leank", "leank export pruned/mask.leank --output out.json",
    "leank bench --mask mask.npy --context 16", "leank clean .", "leank clean . --json",
  ]

  @Test("results that nobody takes are exit code 6, and the output is whole", arguments: printing)
  func deadOutput(_ command: String) throws {
    #if os(Linux)
      let ways = [">/dev/full", ">&-", "<&- >&-"]
    #else
      let ways = [">&-", "<&- >&-"]
    #endif
    for way in ways {
      let run = try run(command + " " + way)
      #expect(run.code == 6, "\(way): \(run.diagnostics)")
      // A closed stream is not the first file that is opened.
      let reason = way == ">/dev/full" ? "no space left" : "bad file descriptor"
      #expect(run.diagnostics.contains("leank: standard output: write: " + reason), "\(way)")
      if files.fileExists(atPath: folder.path("out")) {
        #expect(try Self.contents(folder.path("out")) == reference)
      }
      for name in ["out", ".out.leank-parts", "out.leank", "out.json"] {
        try? files.removeItem(atPath: folder.path(name))
      }
      #expect(
        try files.contentsOfDirectory(atPath: folder.path).sorted()
          == ["dense", "mask.npy", "pruned"])
    }
  }

  @Test("a closed standard error takes no file's place")
  func closedDiagnostics() throws {
    #expect(try run(Self.convert + " <&- >/dev/null 2>&-").code == 0)
    #expect(try Self.contents(folder.path("out")) == reference)
  }

  /// Blocks of 512 bytes, or of 1024 with some shells.
  @Test("a file size limit is an error, and not a death", arguments: [0, 1, 4, 20])
  func fileSizeLimit(_ blocks: Int) throws {
    for command in [Self.convert, Self.convert + " --shard 1/1"] {
      let run = try run("ulimit -f \(blocks)\n" + command)
      #expect(run.code == 6, "\(run.diagnostics)")
      #expect(run.diagnostics.split(separator: "\n").count == 1)
      #expect(run.diagnostics.contains("file too large"))
      #expect(!files.fileExists(atPath: folder.path("out")))
      let left = try files.contentsOfDirectory(atPath: folder.path)
      #expect(!left.contains { $0.contains("leank-partial") })
    }
    try leank(
      expecting: 0,
      [
        "convert", "--model", folder.path("dense"), "--mask", folder.path("mask.npy"), "--output",
        folder.path("out"), "--quiet",
      ])
    #expect(try Self.contents(folder.path("out")) == reference)
  }

  /// Source and output are open at once, three files of weights each.
  @Test("too few open files are refused before anything is written", arguments: [8, 30])
  func fewOpenFiles(_ count: Int) throws {
    let dense = try copyModel("llama_bias_sharded", to: folder, as: "sharded")
    let mask = Fixtures.path("Reference/llama_bias_sharded/mask.npy")
    let command = "leank convert --model '\(dense)' --mask '\(mask)' --output out --quiet"
    let run = try run("ulimit -n \(count)\n" + command)
    #expect(run.code == 6, "\(run.diagnostics)")
    #expect(run.diagnostics.contains("ulimit -n"))
    #expect(run.diagnostics.contains("take up to") == (count == 30))
    #expect(
      try files.contentsOfDirectory(atPath: folder.path).sorted()
        == ["dense", "mask.npy", "pruned", "sharded"])
    // A limit that the user may raise is raised.
    #expect(try self.run("ulimit -S -n 8\n" + command).code == 0)
  }

  @Test("of two runs to one output one wins, the other exits 8")
  func twoRuns() throws {
    for _ in 0..<5 {
      try? files.removeItem(atPath: folder.path("out"))
      let run = try run(
        """
        \(Self.convert) & one=$!
        \(Self.convert); other=$?
        wait $one; exit $(($? + other))
        """)
      #expect(run.code == 8, "\(run.diagnostics)")
      #expect(try Self.contents(folder.path("out")) == reference)
      #expect(
        try files.contentsOfDirectory(atPath: folder.path).sorted()
          == ["dense", "mask.npy", "out", "pruned"])
    }
  }

  @Test("reports do not take the place of what they report on")
  func reportsOverInputs() throws {
    let mask = folder.path("pruned/mask.leank")
    for command in [
      ["inspect", mask, "--report", mask], ["inspect", mask, "--heatmap", mask],
      [
        "verify", folder.path("dense"), folder.path("pruned"), "--save-logits",
        folder.path("pruned/model.safetensors"),
      ],
    ] {
      let run = try leank(expecting: 8, command)
      #expect(run.diagnostics.contains("output is a file of the input"))
    }
    #expect(try Self.contents(folder.path("pruned")) == reference)
  }
}
