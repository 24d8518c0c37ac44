import ByteIO
import Crypto
import LeanKCheckpoint
import LeanKModel
import StrictJSON

/// The Python file with which transformers opens a pruned checkpoint, and the member `auto_map` of
/// config.json that names it.
public enum LoaderFile {
  public static let fileName = "modeling_leank.py"
  /// Key of config.json's member.
  static let key = "auto_map"
  /// Largest file that is compared with the released ones.
  static let byteLimit = 1 << 20

  /// The loader that this version writes.
  public static var bytes: [UInt8] { Array(text.utf8) }

  /// The member `auto_map` of a checkpoint of this model, as JSON text that stands one level deep. A
  /// model with pictures is opened by a class of its own.
  static func autoMap(for configuration: ModelConfiguration) -> String {
    var classes = ["AutoModelForCausalLM": "LeanKForCausalLM"]
    let ofWrappers = [
      "text_config", "vision_config", "llm_config", "thinker_config", "language_config",
    ]
    if ofWrappers.contains(where: configuration.hasMember) {
      classes["AutoModelForImageTextToText"] = "LeanKForImageTextToText"
    }
    let module = fileName.dropLast(".py".count)
    let lines = classes.sorted { $0.key < $1.key }.map {
      "    \(JSONText.quoted($0.key)): \(JSONText.quoted("\(module).\($0.value)"))"
    }
    return "{\n" + lines.joined(separator: ",\n") + "\n  }"
  }

  /// The release whose loader has this content, nil if none has.
  public static func release(of content: [UInt8]) -> String? {
    let digest = hexadecimal(SHA256.hash(data: content))
    return released.first { $0.sha256 == digest }?.version
  }

  /// What is wrong with the loader of `pruned`, the release that it is of, and whether the file was
  /// compared here.
  ///
  /// Where config.json names the loader, or the dense checkpoint has no file of its name, the file
  /// has to be a released one. Without either there is nothing to say.
  static func check(
    of pruned: CheckpointDirectory, dense: CheckpointDirectory
  ) throws(PruningError) -> (release: String?, isCompared: Bool, failures: [String]) {
    var failures: [String] = []
    let isNamed = pruned.configuration.namesLoader(besides: dense.configuration)
    if isNamed, !pruned.configuration.hasLoaderMember(for: dense.configuration) {
      failures.append("config.json has an auto_map that names other code than \(fileName)")
    }
    let isThere = try lifting(try pruned.directory.names()).contains(fileName)
    guard isThere else {
      if isNamed { failures.append("\(fileName), which config.json names, is missing") }
      return (nil, false, failures)
    }
    let isTheirs = try lifting(try dense.directory.names()).contains(fileName)
    guard isNamed || !isTheirs else { return (nil, false, failures) }
    let file = try lifting(try PositionalFile(name: fileName, in: pruned.directory))
    let content = file.size > byteLimit ? [] : try lifting(try file.contents(limit: byteLimit))
    guard let release = release(of: content) else {
      failures.append(
        "\(fileName) is none of the \(released.count) released loaders that this version knows: its "
          + "SHA-256 is \(hexadecimal(SHA256.hash(data: content)))")
      return (nil, true, failures)
    }
    return (release, true, failures)
  }
}

extension ModelConfiguration {
  /// Whether the file's object has a member of this name.
  func hasMember(_ key: String) -> Bool { root.value[key] != nil }

  /// Whether the file has an `auto_map` where its source has none.
  func namesLoader(besides source: ModelConfiguration) -> Bool {
    hasMember(LoaderFile.key) && !source.hasMember(LoaderFile.key)
  }

  /// Whether its `auto_map` is the text that a conversion writes.
  func hasLoaderMember(for source: ModelConfiguration) -> Bool {
    guard let value = root.value[LoaderFile.key] else { return false }
    return Array(bytes[value.byteRange]) == Array(LoaderFile.autoMap(for: source).utf8)
  }
}
