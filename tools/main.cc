// The `postrider` program.

#include "tools/command.h"

int main(int argc, char** argv) { return postrider::tools::RunCommandLine(argc, argv); }
