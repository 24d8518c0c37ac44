struct PrunedConfiguration { static let key = "leank" }
