extension LoaderFile {
  /// SHA-256 of the loaders that were released, the latest last; a test holds the last to the file.
  static let released: [(version: String, sha256: String)] = [
    ("0.1.0", "8ea2cce949d014eeecf52bcab3cc74619f2468c7bc40ab38c17480bc733ad967")
  ]
}
