// Each example runs, and says what it should.
#include "cpp_check.hpp"

static void says(const char *example, const char *words) {
    const char *folder = std::getenv("EXAMPLES");
    std::string command = std::string(folder) + "/" + example, output;
    FILE *run = popen(command.c_str(), "r");
    CHECK(run);
    char line[256];
    while (fgets(line, sizeof line, run)) output += line;
    int status = pclose(run);
    if (status != 0 || output.find(words) == std::string::npos) {
        fprintf(stderr, "%s: status %d, and %s is not in:\n%s", example, status, words, output.c_str());
        abort();
    }
}

int main() {
    begin();
    if (!std::getenv("EXAMPLES")) {
        puts("skipped: EXAMPLES does not say where the examples are");
        return 0;
    }
    says("hello", "hello: the numbers add up to 55\n");
    says("camera", "camera: a viewer saw 50 frames of 307200 bytes\n");
    says("market", "market: 20000 prices were published beside a killed subscriber\n");
    says("market", "market: the strategy saw 20000 prices\n");
    says("worker", "worker: 200 of 200 jobs are done, and 2 workers were killed\n");
}
