@main struct Leank { static func main() {} }
