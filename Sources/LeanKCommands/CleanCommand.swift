import ArgumentParser
import ByteIO
import LeanKReport

/// `leank clean`
struct CleanCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "clean",
    abstract: "List and remove what killed runs of leank left in a directory.",
    discussion: """
      Removes the entries .NAME.leank-partial-* of DIR, which are outputs that never got their name, \
      and nothing else; --dry-run only lists them. What a running leank holds stays (exit code 8). \
      Finished parts of convert --shard, .NAME.leank-parts, are listed and stay, unless --parts is \
      given: a commit may still want them.

      EXAMPLE
        leank clean models --dry-run
        leank clean models
      """)

  @Argument(help: "The directory in which outputs were to be made.")
  var directory: String

  @Flag(help: "List only.")
  var dryRun = false

  @Flag(help: "Remove the parts of convert --shard as well.")
  var parts = false

  @Flag(help: "Print the outcome as JSON.")
  var json = false

  func run(on console: Console) throws -> CInt {
    let folder = try DirectoryHandle(path: directory)
    var report = CleanReport(directory: directory)
    var failure: FileError?
    for leftover in try folder.leftovers() {
      var outcome = CleanReport.Outcome.kept
      if !dryRun, leftover.kind == .staging || parts {
        do throws(FileError) {
          try folder.remove(leftover)
          outcome = .removed
        } catch {
          if let failure { console.note("leank: " + failure.description) }
          failure = error
          outcome = error.code == .inUse ? .inUse : .kept
        }
      } else if leftover.use == .held {
        outcome = .inUse
      }
      report.leftovers.append(
        .init(name: leftover.name, kind: leftover.kind, bytes: leftover.bytes, outcome: outcome))
    }
    if json { try console.print(json: report) } else { try console.print(report.text) }
    if let failure { throw failure }
    return LeankExit.success
  }
}

/// What `clean` found and did; the property names are the keys of `--json`.
private struct CleanReport: Encodable {
  enum Outcome: String, Encodable {
    case kept, removed
    case inUse = "in_use"
  }

  struct Entry: Encodable {
    var name: String
    var kind: String
    var bytes: Int
    var outcome: Outcome

    init(name: String, kind: Leftover.Kind, bytes: Int, outcome: Outcome) {
      self.name = name
      self.kind = kind.rawValue
      self.bytes = bytes
      self.outcome = outcome
    }
  }

  var directory: String
  var leftovers: [Entry] = []

  var text: String {
    guard !leftovers.isEmpty else { return "nothing was left behind" }
    return leftovers.map { entry in
      let outcome =
        switch entry.outcome {
        case .removed: "removed"
        case .inUse: "in use, kept"
        case .kept: entry.kind == Leftover.Kind.parts.rawValue ? "parts, kept" : "kept"
        }
      return Formatting.row(outcome, "\(escaped(entry.name)), \(Formatting.bytes(entry.bytes))")
    }.joined(separator: "\n")
  }
}
