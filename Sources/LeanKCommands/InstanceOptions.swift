import ArgumentParser

/// `--instance`, wherever a command takes one mask of a file that may hold several.
struct InstanceOptions: ParsableArguments {
  @Option(
    help: "Which mask of a file that holds several, counted from 0 (default: 0, the main one).")
  var instance: Int?

  /// The mask asked for.
  var chosen: Int { instance ?? 0 }

  func validate() throws {
    guard chosen >= 0 else {
      throw ValidationError("--instance is a number of at least 0")
    }
  }
}
