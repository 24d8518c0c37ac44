import ArgumentParser

/// The version of this program and library.
public let leankVersion = "0.1.0"

/// The `leank` command line.
struct LeankCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leank",
    abstract:
      "K-cache channel masks: one file, a smaller checkpoint, and proof that it computes the same.",
    discussion: """
      A mask says which channels of each cached key a model keeps. leank stores masks in .leank \
      files, cuts the pruned rows out of Hugging Face checkpoints, and verifies the result.

      EXAMPLE
        leank convert --model Llama-3.1-8B --mask mask.leank --output pruned
        leank verify Llama-3.1-8B pruned

      EXIT CODES
      0 ok, 1 verify or diff found a difference, 2 usage, 3 malformed input, 4 unsupported, 5 limit \
      exceeded, 6 input or output failed, 7 input changed while read, 8 output exists or unsafe, \
      70 bug in leank.
      """,
    version: leankVersion,
    subcommands: [
      ConvertCommand.self, VerifyCommand.self, InspectCommand.self, DiffCommand.self,
      ImportCommand.self, ExportCommand.self, MaskCommand.self, LearnCommand.self,
      BenchCommand.self,
      TokenizeCommand.self, GenerateCommand.self, EvalCommand.self, CleanCommand.self,
    ]
  )
}
